"""The contract of event handlers."""

import pytest
from pacs_core.contracts import EventHandlerDescriptor, NodeSettings, Setup
from pacs_core.testing.event_handler_contract import EventHandlerContract

from {{ cookiecutter.__package }} import Config, pacs_event_handlers


class TestArrivals(EventHandlerContract):
    @pytest.fixture
    def descriptor(self) -> EventHandlerDescriptor:
        return pacs_event_handlers(Setup(NodeSettings(), {Config: Config()}))[0]
