"""What a peer says, shown to a person: nothing in it acts on the terminal."""

import csv
import io
import json
from collections.abc import AsyncIterator

import pytest

from pacs_core.api.commands import UsageError, dump_json, parse_pairs, print_rows
from pacs_core.cli.formats import WRITERS
from pacs_core.dataset import tag_of

NAME = tag_of("PatientName")
HOSTILE = "\x1b]0;owned\x07\x9b2J\x7f\u202eDOE"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("kind", ["table", "csv", "json"])
def test_a_terminal_is_not_acted_on(monkeypatch, kind) -> None:
    monkeypatch.setattr("sys.stdout", out := Terminal())
    writer = WRITERS[kind]((NAME,))
    writer.write({NAME: (HOSTILE,)})
    writer.close()
    assert all(line.isprintable() for line in out.getvalue().splitlines())
    assert "DOE" in out.getvalue()


def test_a_file_gets_values_as_they_are(monkeypatch) -> None:
    for kind in ("csv", "json"):
        monkeypatch.setattr("sys.stdout", out := io.StringIO())
        writer = WRITERS[kind]((NAME,))
        writer.write({NAME: (HOSTILE,)})
        writer.close()
        if kind == "csv":
            rows = list(csv.reader(io.StringIO(out.getvalue(), newline="")))
            assert rows == [["PatientName"], [HOSTILE]]
        else:
            assert json.loads(out.getvalue()) == [{"PatientName": HOSTILE}]


@pytest.mark.parametrize("indent", [None, 1])
def test_json_is_the_same_and_does_nothing(indent: int | None) -> None:
    value = {"name": HOSTILE, "of": [{"Müller": "Łódź\n山田", "n": 1.5}, None]}
    text = dump_json(value, indent=indent)
    assert json.loads(text) == value
    assert all(line.isprintable() for line in text.splitlines())
    assert "Müller" in text
    assert ("\n" in text) == (indent is not None)


@pytest.mark.anyio
async def test_rows_are_printed_as_they_are_found_up_to_a_limit(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = []

    async def find() -> AsyncIterator[str]:
        try:
            for name in ("a", "b\x9b2J", "c"):
                asked.append(name)
                yield name
        finally:
            asked.append("closed")

    await print_rows({"NAME": 8, "AGAIN": 0}, find(), lambda name: (name, name), 2)
    assert capsys.readouterr().out.splitlines() == ["NAME    AGAIN", "a       a", "b 2J    b 2J"]
    assert asked == ["a", "b\x9b2J", "closed"]


def test_pairs_have_a_keyword_and_a_value() -> None:
    assert list(parse_pairs(["A=1", "B=", "C=x=y"])) == [("A", "1"), ("B", ""), ("C", "x=y")]
    with pytest.raises(UsageError, match="PatientID: write it as KEYWORD=VALUE"):
        list(parse_pairs(["PatientID"]))
