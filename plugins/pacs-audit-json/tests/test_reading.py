"""The reader: the contract, with one file and with many, and files that are not as they should."""

import json
import os
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

import pytest
from pacs_audit_json import AuditJsonConfig, pacs_capabilities, reading
from pacs_audit_json.config import path_of
from pacs_audit_json.lines import line
from pacs_audit_json.reading import FileReader, parse
from pacs_audit_json.sink import create

from pacs_core.contracts import (
    AuditEvent,
    AuditReader,
    AuditSearch,
    AuditSink,
    NodeSettings,
    Setup,
)
from pacs_core.testing.audit_reader_contract import AuditReaderContract, study_event
from pacs_core.testing.audit_sink_contract import event

pytestmark = pytest.mark.anyio


class TestOneFile(AuditReaderContract):
    config = AuditJsonConfig()

    def make_sink(self, directory: Path) -> AuditSink:
        return create(self.config, directory)

    def make_reader(self, directory: Path) -> AuditReader:
        return FileReader(path_of(self.config, directory))


class TestManyFiles(TestOneFile):
    config = AuditJsonConfig(max_bytes=5_000)


class TestSmallBlocks(TestManyFiles):
    @pytest.fixture(autouse=True)
    def small_blocks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reading, "BLOCK", 100)


async def search(path: Path, wanted: AuditSearch) -> Sequence[AuditEvent]:
    async with aclosing(FileReader(path).search(wanted)) as found:
        return [each async for each in found]


async def test_what_is_no_event_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    foreign = json.dumps({"event": "no kind", "outcome": "success"}).encode()
    odd = [b"", b"{", b"[]", b"null", b"\xff\xfe", b"{}", foreign, b"[" * 100_000]
    path.write_bytes(
        line(event(1)) + b"\n".join(odd) + b"\n" + line(event(2)) + line(event(3))[:50]
    )
    found = await search(path, AuditSearch())
    assert [each.time for each in found] == [event(2).time, event(1).time]


async def test_a_file_that_is_set_aside_meanwhile_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(line(event(1)))
    reader = FileReader(path)
    async with aclosing(reader.search(AuditSearch())) as found:
        first = await anext(found)
        path.rename(tmp_path / "audit.jsonl.1")
        path.write_bytes(line(event(2)))
        rest = [each async for each in found]
    assert (first.time, rest) == (event(1).time, [])


async def test_files_that_are_too_old_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(line(event(10)))
    old = tmp_path / "audit.jsonl.1"
    old.write_bytes(line(event(20)))  # as its time shows, this was not read
    os.utime(old, (0, 0))
    found = await search(path, AuditSearch(since=event(5).time))
    assert [each.time for each in found] == [event(10).time]


async def test_a_directory_in_the_way_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "audit.jsonl").mkdir()
    with pytest.raises(OSError, match=r"audit\.jsonl"):
        await search(tmp_path / "audit.jsonl", AuditSearch())


def test_there_is_no_reader_of_standard_output() -> None:
    def setup(path: str) -> Setup:
        return Setup(NodeSettings(), {AuditJsonConfig: AuditJsonConfig(path=path)})

    assert pacs_capabilities(setup("-")) == []
    (descriptor,) = pacs_capabilities(setup(""))
    assert descriptor.interface is AuditReader


def test_lines_are_read_as_they_were_written() -> None:
    assert parse(line(study_event(7))) == study_event(7)
    assert parse(line(event(7))) == event(7)
