"""Standard error, which is never waited for."""

import contextlib
import os
import select
import socket
import stat
import threading
from collections import deque
from time import monotonic
from typing import Final

_MOST: Final = 1 << 20
"""Bytes that are kept for a reader that is slow."""
_PATIENCE: Final = 1.0
"""Seconds for the reader to take what is left when the process ends."""


def is_journal(descriptor: int) -> bool:
    """Tell whether a file descriptor leads to the journal of systemd: see systemd.exec(5)."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


class Console:
    """Writes lines to a file descriptor without waiting for whoever reads.

    One lives as long as its process.

    Parameters
    ----------
    descriptor : int
        Of a file, a pipe, a terminal or a socket. It stays as it is, for others may share it.

    Attributes
    ----------
    lost : int
        Lines that were dropped since this was last set to 0.
    """

    def __init__(self, descriptor: int = 2) -> None:
        self.lost = 0
        self._own, self._socket = _open_again(descriptor)
        self._waiting: deque[bytes] = deque()
        self._size = 0
        # To be taken again by who has it: a finalizer that runs meanwhile may log, too.
        self._lock = threading.RLock()
        self._drains = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """Leave what is kept, and the thread that writes it, to the parent process."""
        self._lock = threading.RLock()
        self._waiting.clear()
        self._size, self._drains = 0, False

    def write(self, line: bytes) -> None:
        """Write a line, keep it for later, or drop it."""
        with self._lock:
            if self._size + len(line) > _MOST:
                self.lost += 1
                return
            self._waiting.append(line)
            self._size += len(line)
            if not self._drains and not self._write_some():
                self._drains = True
                threading.Thread(target=self._drain, name="log", daemon=True).start()

    def flush(self) -> None:
        """Wait for a moment until all is written."""
        until = monotonic() + _PATIENCE
        while self._size and (left := until - monotonic()) > 0:
            _await_room(self._own, left)
            with self._lock:
                self._write_some()

    def _write_some(self) -> bool:
        """Write as much as is taken; tell whether that was all."""
        while self._waiting:
            line = self._waiting.popleft()
            self._size -= len(line)
            try:
                count = self._send(line)
            except BlockingIOError:
                count = 0
            except OSError:  # nobody is there to read, or the disk is full
                self.lost += 1
                continue
            if count < len(line):
                self._waiting.appendleft(line[count:])
                self._size += len(line) - count
                return False
        return True

    def _send(self, line: bytes) -> int:
        if self._socket is not None:
            return self._socket.send(line, socket.MSG_DONTWAIT)
        return os.write(self._own, line)

    def _drain(self) -> None:
        is_done = False
        while not is_done:
            _await_room(self._own, None)
            with self._lock:
                is_done = self._write_some()
                self._drains = not is_done


def _await_room(descriptor: int, seconds: float | None) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    poll.poll(None if seconds is None else 1000 * seconds)


def _open_again(descriptor: int) -> tuple[int, socket.socket | None]:
    """Return a descriptor of our own that does not block, as far as that can be had.

    Whether one blocks is a matter of the open file, which the process has in common with its
    parent: so the same file is opened once more.
    """
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return descriptor, None
    if stat.S_ISSOCK(mode):  # cannot be opened, but written to without waiting
        own = socket.socket(fileno=os.dup(descriptor))
        return own.fileno(), own
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        flags = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        with contextlib.suppress(OSError):  # no /proc, or nobody reads
            return os.open(f"/proc/self/fd/{descriptor}", flags), None
    return descriptor, None
