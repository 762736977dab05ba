"""``pacs audit``: verify, search and key, on the trail of a node's data directory."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest
from pacs_audit_json import AuditJsonConfig
from pacs_audit_json.sink import create

from pacs_core.api.commands import main
from pacs_core.contracts import (
    AuditEvent,
    AuditKind,
    AuditObject,
    AuditObjectKind,
    Origin,
    Outcome,
    Principal,
)

NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)


def event(number: int) -> AuditEvent:
    """Return the event of a minute: of one of two users, about one of three patients."""
    kind = AuditKind.C_STORE if number % 2 else AuditKind.C_FIND
    objects = (
        AuditObject(AuditObjectKind.PATIENT, f"P{number % 3}", "Doe^\x1b[31mJane"),
        AuditObject(AuditObjectKind.STUDY, f"1.2.{number}"),
    )
    origin = Origin("DIMSE", "CT1", "PACS", "192.0.2.7", 1, Principal(f"user{number % 2}"))
    moment = NOON + timedelta(minutes=number)
    return AuditEvent(kind, Outcome.SUCCESS, origin, {"n": number}, moment, objects=objects)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    anyio.run(write_events, tmp_path / "data")
    return tmp_path / "data"


async def write_events(data: Path) -> None:
    sink = create(AuditJsonConfig(), data)
    await sink.start()
    await sink.write([event(number) for number in range(12)])
    await sink.stop()


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, list[str]]:
    with pytest.raises(SystemExit) as caught:
        raise SystemExit(main([str(each) for each in arguments]))
    return int(caught.value.code or 0), capsys.readouterr().out.splitlines()


def found(lines: list[str]) -> list[int]:
    return [json.loads(line)["details"]["n"] for line in lines]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--patient", "P1"], [10, 7, 4, 1]),
        (["--patient", "P1", "--user", "user1"], [7, 1]),
        (["--study", "1.2.5"], [5]),
        (["--study", "1.2.5", "--patient", "P2"], [5]),
        (["--study", "1.2.5", "--patient", "P1"], []),
        (["--event", "c-store", "--since", "2024-02-29T12:06:00"], [11, 9, 7]),
        (["--event", "c-store", "--event", "c-find", "--until", "2024-02-29T12:02:00"], [1, 0]),
        (["--patient", "P9"], []),
    ],
)
def test_search(
    data: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    expected: list[int],
) -> None:
    code, lines = run(capsys, "audit", "search", "--data", data, "--json", *arguments)
    assert (code, found(lines)) == (0, expected)


def test_search_in_words_and_with_a_limit(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = run(capsys, "audit", "search", "--data", data, "--patient", "P1", "--limit", "3")
    assert (code, len(lines)) == (4, 3)
    assert "c-find" in lines[0]
    assert "patient P1" in lines[0]
    assert all(line.isprintable() for line in lines)
    assert run(capsys, "audit", "search", "--data", data, "--limit", "0")[0] == 2


def test_who_reads_the_trail_is_in_it(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "audit", "search", "--data", data, "--patient", "P1")
    run(capsys, "audit", "verify", "--data", data)
    code, lines = run(
        capsys, "audit", "search", "--data", data, "--event", "audit-json.read", "--json"
    )
    assert code == 0
    assert [json.loads(line)["interface"] for line in lines] == [
        "pacs audit verify",
        "pacs audit search",
    ]
    assert json.loads(lines[1])["details"] == {"patient": "P1"}
    assert run(capsys, "audit", "verify", "--data", data)[0] == 0


def test_verify(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "audit", "verify", "--data", data) == (
        0,
        ["the trail is as it was written (12 records, signed up to record 12)"],
    )
    path = data / "audit" / "audit.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3] + lines[4:]))
    code, output = run(capsys, "audit", "verify", "--data", data)
    assert code == 1
    assert output[0].split()[:-2] == ["PROBLEM", "removed:", "record", "4", "was", "removed"]
    assert output[0].endswith("(before audit.jsonl:4)")
    assert "NOT as it was written: 1 problem " in output[-2]
    assert output[-1].startswith("what to do: keep a copy")
    code, output = run(capsys, "audit", "verify", "--json", path)
    assert code == 1
    finding, result = map(json.loads, output)
    assert (finding["finding"], finding["first"], finding["last"]) == ("removed", 4, 4)
    assert result["problems"] == 1


def test_verify_a_copy_with_a_key_that_was_kept(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, [public] = run(capsys, "audit", "key", "--data", data)
    assert code == 0
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes((data / "audit" / "audit.jsonl").read_bytes())
    checkpoints = data / "audit" / "audit.jsonl.checkpoints"
    command = ("audit", "verify", copy, "--checkpoints", checkpoints, "--public-key")
    assert run(capsys, *command, public)[0] == 0
    assert run(capsys, *command, "A" * 43 + "=")[0] == 1
    assert not (tmp_path / "pacs-data").exists(), "looking makes nothing"


def test_there_is_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(capsys, "audit", "verify", "--data", tmp_path / "none")[0] == 1
    assert run(capsys, "audit", "key", "--data", tmp_path / "none")[0] == 1
    assert list(tmp_path.iterdir()) == []
