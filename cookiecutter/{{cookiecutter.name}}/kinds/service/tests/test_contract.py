"""The contracts of services, and of what takes other settings while it runs."""

import pytest
from pacs_core.contracts import Component, NodeSettings, ServiceDescriptor, Setup
from pacs_core.testing.operations import memory_node
from pacs_core.testing.reconfigure_contract import ReconfigureContract
from pacs_core.testing.service_contract import ServiceContract

from {{ cookiecutter.__package }} import Config, StatusService, pacs_services


class TestStatusService(ServiceContract):
    @pytest.fixture
    def descriptor(self) -> ServiceDescriptor:
        return pacs_services(Setup(NodeSettings(), {Config: Config()}))[0]


class TestReconfigure(ReconfigureContract):
    @pytest.fixture
    def setup(self) -> Setup:
        return Setup(NodeSettings(), {Config: Config()})

    @pytest.fixture
    def other(self) -> Setup:
        return Setup(NodeSettings(), {Config: Config(patience=0.5)})

    @pytest.fixture
    def component(self, setup: Setup) -> Component:
        return StatusService(memory_node(), setup.config(Config))

    async def check(self, component: Component, setup: Setup) -> None:
        assert isinstance(component, StatusService)
        assert component.config.patience == setup.config(Config).patience
