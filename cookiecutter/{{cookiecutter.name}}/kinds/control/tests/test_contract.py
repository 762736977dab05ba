"""The contract of operations on a running node."""

from pathlib import Path

import pytest
from pacs_core.contracts import ControlDescriptor, Node, NodeSettings, Setup
from pacs_core.testing.control_contract import ControlContract
from pacs_core.testing.operations import memory_node

from {{ cookiecutter.__package }} import Config, pacs_control
from {{ cookiecutter.__package }}.operation import Request
from {{ cookiecutter.__package }}.senders import Senders


class TestSenders(ControlContract):
    request = Request("MODALITY")

    @pytest.fixture
    def descriptor(self) -> ControlDescriptor:
        return pacs_control(Setup(NodeSettings(), {Config: Config()}))[0]

    @pytest.fixture
    def node(self, tmp_path: Path) -> Node:
        node = memory_node(NodeSettings(data_directory=tmp_path))
        node.capabilities.provide(Senders, Senders(10))
        return node


def test_memory_is_bounded() -> None:
    senders = Senders(2)
    for title in ("A", "B", "C", "D", "A"):
        senders.count(title)
    assert senders.stored == {"A": 2, "B": 1, "(others)": 2}
