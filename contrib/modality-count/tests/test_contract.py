"""The contract of event handlers."""

from pathlib import Path

import pytest
from pacs_core.contracts import EventHandlerDescriptor, NodeSettings, Setup
from pacs_core.testing.event_handler_contract import EventHandlerContract

from modality_count import Config, pacs_event_handlers


class TestModalityCounter(EventHandlerContract):
    @pytest.fixture
    def descriptor(self, tmp_path: Path) -> EventHandlerDescriptor:
        settings = NodeSettings(data_directory=tmp_path)
        return pacs_event_handlers(Setup(settings, {Config: Config()}))[0]
