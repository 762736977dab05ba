"""Entries of the log are one line each, whatever they hold."""

import json
import logging
from datetime import datetime

from hypothesis import given, strategies as st

from pacs_core.contracts import Correlation, correlated
from pacs_core.logs.formats import JsonFormatter, TextFormatter


def record(message: str, *arguments: object, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("pacs.part", logging.WARNING, "", 1, message, arguments, None)
    vars(made).update(fields)
    return made


@given(message=st.text(), value=st.text() | st.binary() | st.floats() | st.none())
def test_an_entry_is_one_line_of_json(message, value):
    line = JsonFormatter().format(record("%s", message, peer=value))
    assert line.isascii()
    assert line.isprintable()
    entry = json.loads(line)
    assert entry["message"] == message
    assert set(entry["fields"]) == {"peer"}


def test_a_line_of_json_says_when_who_and_why():
    try:
        raise ValueError("torn\nthrough")
    except ValueError as error:
        made = record("it %s", "failed")
        made.exc_info = (ValueError, error, error.__traceback__)
    with correlated(Correlation("r-1", f"00-{'ab' * 16}-{'cd' * 8}-01")):
        entry = json.loads(JsonFormatter().format(made))
    moment = datetime.fromisoformat(entry["time"])
    assert moment.tzinfo is not None
    assert abs(moment.timestamp() - made.created) < 0.001
    assert (entry["level"], entry["logger"], entry["message"]) == (
        "warning",
        "pacs.part",
        "it failed",
    )
    assert (entry["correlation"], entry["trace_id"]) == ("r-1", "ab" * 16)
    assert "Traceback" in entry["exception"]
    assert "fields" not in entry


def test_text_has_the_correlation_before_what_a_peer_can_choose():
    made = record("[other] hello")
    with correlated(Correlation("a-1")):
        inside = TextFormatter(tracebacks=False).format(made)
    outside = TextFormatter(tracebacks=False).format(made)
    assert inside.endswith(" WARNING  pacs.part [a-1]: [other] hello")
    assert outside.endswith(" WARNING  pacs.part: [other] hello")


def test_the_journal_gets_priorities_and_no_time():
    made = record("hello")
    assert TextFormatter(tracebacks=False, for_journal=True).format(made) == "<4>pacs.part: hello"
    assert JsonFormatter(for_journal=True).format(made).startswith('<4>{"time"')


def test_what_is_long_is_cut():
    for formatter in (TextFormatter(tracebacks=False), JsonFormatter()):
        line = formatter.format(record("x" * 1_000_000))
        assert len(line) < 40_000
        assert "more characters" in line
