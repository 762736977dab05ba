"""What goes to a terminal is escaped."""

import logging
import subprocess
import sys

import pytest
from hypothesis import given, strategies as st

from pacs_core.cli.output import count, print_table
from pacs_core.logs.escaping import escape
from pacs_core.logs.formats import TextFormatter


@given(st.text())
def test_escaped_text_is_one_printable_line(text: str) -> None:
    assert escape(text).isprintable()


@given(st.text(st.characters(categories=["L", "N", "P"])))
def test_printable_text_stays_as_it_is(text: str) -> None:
    assert escape(text) == text


def record(message: str, error: BaseException | None = None) -> logging.LogRecord:
    info = None if error is None else (type(error), error, error.__traceback__)
    return logging.LogRecord("pacs", logging.ERROR, "", 1, message, (), info)


def test_a_peer_cannot_forge_a_log_entry() -> None:
    forged = "hello\n2026-01-01 00:00:00.000 INFO pacs: all is well\x1b[2J"
    line = TextFormatter(tracebacks=False).format(record(forged))
    assert line.isprintable()
    assert "hello\\n2026" in line
    assert "\\x1b[2J" in line


@pytest.mark.parametrize("tracebacks", [True, False])
def test_tracebacks_are_for_debugging(tracebacks: bool) -> None:
    try:
        raise ValueError("a\nb")
    except ValueError as error:
        line = TextFormatter(tracebacks=tracebacks).format(record("failed", error))
    assert line.isprintable()
    assert ("Traceback" in line) == tracebacks


def test_counts() -> None:
    counts = [count(0, "file"), count(1, "file"), count(2, "match", "matches")]
    assert counts == ["0 files", "1 file", "2 matches"]


def test_tables_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["A", "B"], [["1", "x\ny"], ["long", ""]])
    assert capsys.readouterr().out == "A     B\n1     x\\ny\nlong\n"


def test_a_descriptor_that_a_parent_has_closed_is_no_file_of_ours() -> None:
    """Else the next file that is opened, maybe a database, gets what is written to it."""
    code = (
        "import os; from pacs_core.cli.main import main; main(['--version']); "
        "print(os.open('/etc/hostname', os.O_RDONLY), *map(os.readlink, "
        "('/proc/self/fd/0', '/proc/self/fd/2')))"
    )
    command = ["sh", "-c", 'exec "$@" <&- 2>&-', "sh", sys.executable, "-c", code]
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    opened, *standard = told.splitlines()[-1].split()
    assert int(opened) > 2
    assert standard == ["/dev/null", "/dev/null"]
