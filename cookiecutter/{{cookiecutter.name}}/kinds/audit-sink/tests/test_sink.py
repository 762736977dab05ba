"""What is special about this sink, and a node that records with it."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from pacs_core.association import Association
from pacs_core.contracts import AuditKind
from pacs_core.testing.audit_sink_contract import event
from pacs_core.testing.node import NodeThread

from {{ cookiecutter.__package }} import FileSink
from {{ cookiecutter.__package }}.lines import parse

pytestmark = pytest.mark.anyio

NAME = "{{ cookiecutter.name }}"
VERIFICATION = "1.2.840.10008.1.1"


async def test_a_file_that_cannot_be_written_is_an_error_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="directory"):
        await FileSink(tmp_path).start()


async def test_half_a_batch_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = FileSink(tmp_path / "audit.jsonl")
    await sink.write([event(1)])
    before = (tmp_path / "audit.jsonl").read_bytes()

    def fail(descriptor: int) -> None:
        raise OSError("no room")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no room"):
        await sink.write([event(2)])
    assert (tmp_path / "audit.jsonl").read_bytes() == before


async def test_a_node_records_an_echo(
    pacs_node: Callable[..., NodeThread],
    pacs_association: Callable[..., Awaitable[Association]],
    tmp_path: Path,
) -> None:
    path = tmp_path / "audit.jsonl"
    table: dict[str, object] = {"path": str(path), "required": True}
    node = pacs_node({"plugin": {NAME: table}}, plugins=[NAME, "sop-verification"])
    association = await pacs_association(node, VERIFICATION)
    assert (await association.c_echo()).status == 0x0000
    recorded = [parse(each).kind for each in path.read_text().splitlines()]
    assert recorded[0] is AuditKind.NODE_STARTED
    assert recorded[-1] is AuditKind.C_ECHO
