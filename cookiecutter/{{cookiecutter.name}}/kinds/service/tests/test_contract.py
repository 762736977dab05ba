"""The contract of services."""

import pytest
from pacs_core.contracts import NodeSettings, ServiceDescriptor, Setup
from pacs_core.testing.service_contract import ServiceContract

from {{ cookiecutter.__package }} import Config, pacs_services


class TestStatusService(ServiceContract):
    @pytest.fixture
    def descriptor(self) -> ServiceDescriptor:
        return pacs_services(Setup(NodeSettings(), {Config: Config()}))[0]
