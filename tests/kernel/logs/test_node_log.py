"""The log of a process takes other settings, and survives what becomes of its destination."""

import json
import logging

import pytest

from pacs_core.logs import node_log
from pacs_core.logs.console import Console
from pacs_core.logs.node_log import NodeLog
from pacs_core.logs.settings import LogSettings


class Lines(Console):
    """A console that keeps what is written."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def write(self, line):
        self.lines.append(line.decode())


@pytest.fixture
def console(monkeypatch):
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    kept = Lines()
    monkeypatch.setattr(node_log, "Console", lambda: kept)
    yield kept
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
    root.setLevel(level)


def test_levels_come_and_go(console):
    log, part = NodeLog(), logging.getLogger("pacs_test.part")
    log.use(LogSettings(level="warning", levels={"pacs_test": "debug"}))
    part.debug("one")
    log.override({"pacs_test": "error", "pacs_test.part.deep": "info"})
    part.warning("two")
    logging.getLogger("pacs_test.part.deep").info("three")
    log.reset()
    part.debug("four")
    log.use(LogSettings(level="warning"))
    part.info("five")
    assert logging.getLogger("pacs_test.part.deep").level == logging.NOTSET
    assert [line.split()[-1] for line in console.lines] == ["one", "three", "four"]


def test_tracebacks_follow_the_level(console):
    log = NodeLog()
    log.use(LogSettings())
    for _ in range(2):
        try:
            raise ValueError("torn")
        except ValueError:
            logging.getLogger("pacs_test").exception("failed")
        log.override({"": "debug"})
    assert ["Traceback" in line for line in console.lines] == [False, True]


def test_a_file_that_cannot_be_written_is_made_up_for(console, tmp_path):
    path = tmp_path / "logs"
    path.write_text("in the way")
    log = NodeLog()
    log.use(LogSettings(file=path / "pacs.log", format="json"))
    logger = logging.getLogger("pacs_test")
    logger.warning("one")
    logger.warning("two")
    path.unlink()
    logger.warning("three")
    told = [json.loads(line)["message"] for line in console.lines]
    assert "cannot be written" in told[0]
    assert told[1:] == ["one", "two"]
    kept = [json.loads(line)["message"] for line in (path / "pacs.log").read_text().splitlines()]
    assert kept == ["2 entries went to standard error", "three"]


def test_what_the_console_has_lost_is_counted(console):
    NodeLog().use(LogSettings())
    console.lost = 7
    logging.getLogger("pacs_test").warning("hello")
    assert "7 entries were lost" in console.lines[0]
    assert console.lines[1].endswith("hello\n")
