"""Connections: how a file is opened, and how searches share a few of them.

What reads but a few rows takes less time than the hop to a thread and back, as long as they are in
memory. It is read in the event loop's thread therefore (:meth:`ReaderPool.run_brief`). When that
took long, for the disk is slow or a study has very many instances, threads read for a hundred
times as long: so the loop is held up for a hundredth of the time at most.
"""

import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from attrs import define, field

from pacs_core.api.threads import Threads
from pacs_index_sqlite.config import SqliteIndexConfig
from pacs_index_sqlite.errors import translate_errors

Result = TypeVar("Result")

FILE_MODE = 0o660
_LOG_BYTES = 64 * 1024 * 1024
_CACHE_KIB = 65536
_BRIEF = 0.005
"""Seconds that the event loop may be held up by a read, again and again."""
_REST = 100
"""How many times as long as a longer one it is not held up after that."""


def connect(path: Path, config: SqliteIndexConfig) -> sqlite3.Connection:
    """Open a connection to a file, which must exist.

    Any one thread at a time may use it; transactions are explicit.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=config.busy_timeout,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def connect_writer(path: Path, config: SqliteIndexConfig) -> sqlite3.Connection:
    """Open the connection that writes, make the file if need be, and turn its log on."""
    with suppress(OSError):  # SQLite says what is wrong, in the operator's words
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))
    connection = connect(path, config)
    _write_ahead(connection, config.busy_timeout)
    connection.execute(f"PRAGMA synchronous = {config.synchronous}")
    connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    return connection


def _write_ahead(connection: sqlite3.Connection, patience: float) -> None:
    # SQLite does not wait for locks when the journal mode changes (no busy handler is called).
    deadline = time.monotonic() + patience
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


@define
class ReaderPool:
    """Connections for reading in worker threads; none is held between two reads."""

    _path: Path
    _config: SqliteIndexConfig
    _idle: deque[sqlite3.Connection] = field(factory=deque, init=False)
    _threads: Threads = field(init=False)
    _rests_until: float = field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self._threads = Threads(self._config.readers, "index-reader")

    async def run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run `work` with a connection in a worker thread; it must finish what it reads."""
        return await self._threads.run(self._work, work)

    async def run_brief(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run `work` that should read but a few rows: in this thread, unless that has taken long.

        The first goes to a thread, which opens a connection.
        """
        began = time.monotonic()
        if not self._idle or began < self._rests_until:
            return await self.run(work)
        try:
            return self._work(work)
        finally:
            ended = time.monotonic()
            if ended - began > _BRIEF:
                self._rests_until = ended + _REST * (ended - began)

    def _work(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        with translate_errors(self._path):
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = connect(self._path, self._config)
                connection.execute("PRAGMA query_only = ON")
            try:
                return work(connection)
            finally:
                self._idle.append(connection)

    def close(self) -> None:
        """Close the connections and end the threads; nothing may be running."""
        self._threads.close()
        while self._idle:
            self._idle.pop().close()
