"""The sinks: what a line looks like, where it goes, and what happens if it cannot."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import cattrs
import pytest
from hypothesis import given, strategies as st
from pacs_audit_json import AuditJsonConfig, pacs_audit_sinks, pacs_config
from pacs_audit_json.lines import line
from pacs_audit_json.sink import create

from pacs_core.contracts import (
    AuditEvent,
    AuditKind,
    NodeSettings,
    Origin,
    Outcome,
    Principal,
    Setup,
)

pytestmark = pytest.mark.anyio

ORIGIN = Origin("DIMSE", "CT1", "PACS", "192.0.2.7", 50123, Principal("ward"), "a1")
NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)


def test_a_line_says_who_where_what_and_when() -> None:
    event = AuditEvent(
        AuditKind.C_STORE, Outcome.FAILURE, ORIGIN, {"status": 0xA700, "uids": ("1.2", "1.3")}, NOON
    )
    assert json.loads(line(event)) == {
        "time": "2024-02-29T12:00:00.000000+00:00",
        "event": "c-store",
        "outcome": "failure",
        "interface": "DIMSE",
        "calling_ae_title": "CT1",
        "called_ae_title": "PACS",
        "user": "ward",
        "host": "192.0.2.7",
        "port": 50123,
        "association": "a1",
        "details": {"status": 0xA700, "uids": ["1.2", "1.3"]},
    }


details = st.dictionaries(
    st.text(st.characters()),
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.lists(st.text()).map(tuple)
    | st.binary()
    | st.dictionaries(st.text(), st.integers()),
)


@given(details, st.text(st.characters()))
def test_whatever_is_recorded_is_one_line_of_strict_json(
    values: dict[str, object], host: str
) -> None:
    event = AuditEvent(AuditKind.C_FIND, Outcome.SUCCESS, Origin("", host=host), values)  # type: ignore[arg-type]
    text = line(event)
    assert text.isascii()
    assert text.splitlines(keepends=True) == [text]
    assert not set(text[:-1]) & set(range(32))

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    record = json.loads(text, parse_constant=refuse)
    assert record["host"] == host
    assert set(record["details"]) == set(values)
    assert {k: v for k, v in record["details"].items() if isinstance(values[k], str)} == {
        k: v for k, v in values.items() if isinstance(v, str)
    }


def test_the_descriptor_is_required_if_the_table_says_so(tmp_path: Path) -> None:
    assert pacs_config() is AuditJsonConfig
    for required in (True, False):
        config = cattrs.structure({"required": required}, AuditJsonConfig)
        setup = Setup(NodeSettings(data_directory=tmp_path), {AuditJsonConfig: config})
        [descriptor] = pacs_audit_sinks(setup)
        assert (descriptor.name, descriptor.required) == ("json", required)
        descriptor.create(setup)
    assert os.listdir(tmp_path) == [], "creating does no input or output"


@pytest.mark.parametrize("name", ["max_bytes", "backups"])
def test_negative_numbers_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        AuditJsonConfig(**{name: -1})


async def test_a_path_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "down" / "trail"
    sink = create(AuditJsonConfig(path=str(path)), tmp_path / "data")
    await sink.start()
    await sink.write([AuditEvent(AuditKind.C_ECHO, Outcome.SUCCESS, ORIGIN)])
    await sink.stop()
    assert len(path.read_bytes().splitlines()) == 1
    assert path.stat().st_mode & 0o007 == 0
    assert not (tmp_path / "data").exists()


async def test_a_path_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "audit.jsonl", tmp_path):
        sink = create(AuditJsonConfig(path=str(path)), tmp_path)
        with pytest.raises(OSError, match=r"correct `path` in \[plugin.audit-json\]") as caught:
            await sink.start()
        assert caught.value.filename == str(path)
        await sink.stop()


PRINT_EVENTS = """
import anyio
from pathlib import Path
from pacs_audit_json import AuditJsonConfig
from pacs_audit_json.sink import create
from pacs_core.contracts import AuditEvent, AuditKind, Origin, Outcome

async def main():
    sink = create(AuditJsonConfig(path="-"), Path("nowhere"))
    await sink.start()
    for number in range(3):
        event = AuditEvent(AuditKind.C_ECHO, Outcome.SUCCESS, Origin(""), {"number": number})
        await sink.write([event])
    await sink.stop()

anyio.run(main)
"""


def test_standard_output(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PRINT_EVENTS]
    output = subprocess.run(command, capture_output=True, check=True, cwd=tmp_path).stdout
    numbers = [json.loads(text)["details"]["number"] for text in output.splitlines()]
    assert numbers == [0, 1, 2]
    assert os.listdir(tmp_path) == []
