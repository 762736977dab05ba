"""A file of the log that many processes write: each line once, whole, wherever the file goes."""

import os
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pacs_core.logs.files import LogFile

WRITERS, LINES = 4, 400


def fork(work):
    """Run a function in a process of its own; return what waits for its success."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return lambda: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def read_all(folder):
    return [line for path in folder.iterdir() for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize("opened_before", [True, False])
def test_many_processes_set_it_aside_and_lose_nothing(tmp_path, opened_before):
    shared = LogFile(tmp_path / "a.log", 2000, daily=False, backups=0)
    if opened_before:
        shared.write(b"first\n")

    def write(writer):
        for number in range(LINES):
            shared.write(b"%d-%d-%s\n" % (writer, number, b"x" * 50))

    waits = [fork(lambda writer=writer: write(writer)) for writer in range(WRITERS)]
    assert [wait() for wait in waits] == [0] * WRITERS
    found = Counter(read_all(tmp_path))
    found.pop(b"first", None)
    assert len(found) == WRITERS * LINES
    assert set(found.values()) == {1}
    assert len(list(tmp_path.iterdir())) > 10


def test_it_follows_when_another_renames_it(tmp_path):
    path = tmp_path / "a.log"
    file = LogFile(path, 0, daily=False, backups=0)
    file.write(b"one\n")
    path.rename(tmp_path / "a.log.1")
    file.write(b"two\n")
    (tmp_path / "a.log.1").unlink()
    assert path.read_bytes() == b"two\n"


def test_a_new_day_begins_a_new_file(tmp_path):
    path = tmp_path / "a.log"
    file = LogFile(path, 0, daily=True, backups=0)
    file.write(b"today\n")
    file.write(b"today again\n")
    assert len(list(tmp_path.iterdir())) == 1
    yesterday = (datetime.now(UTC) - timedelta(days=1)).timestamp()
    os.utime(path, (yesterday, yesterday))
    file.write(b"after\n")
    assert path.read_bytes() == b"after\n"
    assert len(list(tmp_path.iterdir())) == 2


def test_only_its_own_old_files_are_forgotten(tmp_path):
    for name in (
        "a.log.1",
        "a.log.gz",
        "a.log.20200101T000000.000000Z",
        "b.log.20200101T000000.000000Z",
    ):
        (tmp_path / name).touch()
    file = LogFile(tmp_path / "a.log", 1, daily=False, backups=2)
    for number in range(6):
        file.write(b"%d\n" % number)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert len(left) == 6
    assert {"a.log", "a.log.1", "a.log.gz", "b.log.20200101T000000.000000Z"} < set(left)
    assert sorted(read_all(tmp_path)) == [b"3", b"4", b"5"]


def test_a_full_disk_is_an_error():
    with pytest.raises(OSError, match="No space left"):
        LogFile(Path("/dev/full"), 0, daily=False, backups=0).write(b"line\n")
