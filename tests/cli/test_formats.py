"""What a peer says, shown to a person: nothing in it acts on the terminal."""

import csv
import io
import json

import pytest

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
