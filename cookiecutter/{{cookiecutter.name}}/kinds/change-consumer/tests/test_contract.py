"""The contract of change consumers."""

from pathlib import Path

import pytest
from pacs_core.contracts import ChangeConsumerDescriptor, NodeSettings, Setup
from pacs_core.testing.change_consumer_contract import ChangeConsumerContract

from {{ cookiecutter.__package }} import Config, pacs_change_consumers


class TestInventory(ChangeConsumerContract):
    @pytest.fixture
    def descriptor(self, tmp_path: Path) -> ChangeConsumerDescriptor:
        config = Config(tmp_path / "inventory" / "database")
        return pacs_change_consumers(Setup(NodeSettings(), {Config: config}))[0]
