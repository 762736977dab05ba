"""Standard error is never waited for, whoever reads it."""

import os
import socket
import threading

import pytest

from pacs_core.logs.console import Console, is_journal

LINE = b"x" * 99 + b"\n"


@pytest.fixture(params=["pipe", "socket"])
def ends(request):
    """Something to read from, and something to write to."""
    if request.param == "pipe":
        reading, writing = os.pipe()
    else:
        pair = socket.socketpair()
        reading, writing = (each.detach() for each in pair)
    yield reading, writing
    os.close(reading)
    os.close(writing)


def read_lines(descriptor, count):
    found = b""
    while found.count(b"\n") < count:
        found += os.read(descriptor, 65536)
    return found.splitlines(keepends=True)


def test_a_slow_reader_gets_all_of_a_burst(ends):
    reading, writing = ends
    console = Console(writing)
    for _ in range(5000):  # half a megabyte; a pipe takes 64 KiB
        console.write(LINE)
    assert read_lines(reading, 5000) == [LINE] * 5000
    assert console.lost == 0
    assert os.get_blocking(writing)  # others write to it as well


def test_a_reader_that_stopped_costs_entries_and_no_memory(ends):
    reading, writing = ends
    console = Console(writing)
    for _ in range(50_000):
        console.write(LINE)
    assert 10_000 < console.lost < 45_000
    taken = 50_000 - console.lost
    assert read_lines(reading, taken) == [LINE] * taken
    while threading.active_count() > 1 and any(t.name == "log" for t in threading.enumerate()):
        threading.Event().wait(0.01)
    console.write(b"afterwards\n")
    assert read_lines(reading, 1) == [b"afterwards\n"]


def test_nobody_reads_any_more():
    reading, writing = os.pipe()
    console = Console(writing)
    os.close(reading)
    for _ in range(10):
        console.write(LINE)
    assert console.lost == 10
    os.close(writing)


def test_a_fork_leaves_what_is_kept_to_its_parent():
    reading, writing = os.pipe()
    console = Console(writing)
    for _ in range(2000):
        console.write(LINE)
    pid = os.fork()
    if pid == 0:
        console.write(b"child\n")
        console.flush()
        os._exit(0)
    lines = read_lines(reading, 2000 + 1)
    os.waitpid(pid, 0)
    assert lines.count(LINE) == 2000
    assert b"".join(lines).count(b"child\n") == 1
    os.close(reading)
    os.close(writing)


def test_the_journal_is_known_by_its_device_and_inode(monkeypatch):
    reading, writing = os.pipe()
    found = os.fstat(writing)
    monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
    assert is_journal(writing)
    assert not is_journal(0 if os.fstat(0).st_ino != found.st_ino else 1)
    os.close(reading)
    os.close(writing)
    assert not is_journal(writing)


def test_a_finalizer_that_logs_meanwhile_does_not_stop_the_process():
    """As asyncio does of a task whose exception nobody has seen, whenever that is collected."""
    reading, writing = os.pipe()

    class Interrupted(Console):
        def _send(self, line):
            if line == LINE:
                self.write(b"from within\n")
            return super()._send(line)

    thread = threading.Thread(target=Interrupted(writing).write, args=(LINE,), daemon=True)
    thread.start()
    assert sorted(read_lines(reading, 2)) == [b"from within\n", LINE]
    thread.join(30)
    assert not thread.is_alive()
    os.close(reading)
    os.close(writing)
