"""The spool: messages that a collector has not taken yet, durable and in order."""

import errno
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

# Theory of operation
#
# A database of SQLite, since several processes write into it: the transaction gives them one order,
# and survives whoever is killed. Rows go when the collector has what is in them; until then the
# order of their numbers is the order in which they are sent. How many bytes there are is kept in a
# row of its own, in the same transaction, so that to look whether there is room costs nothing.

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS message (id INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS refused (
    id INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL, reason TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS attempt (
    id INTEGER PRIMARY KEY CHECK (id = 0), failures INTEGER NOT NULL, failure TEXT NOT NULL,
    away_since REAL NOT NULL);
INSERT OR IGNORE INTO counter VALUES ('bytes', 0), ('dropped', 0), ('flushes', 0);
INSERT OR IGNORE INTO attempt VALUES (0, 0, '', 0);
"""
_COUNTS: Final = """
SELECT (SELECT count(*) FROM message), (SELECT count(*) FROM refused),
    (SELECT value FROM counter WHERE name = 'bytes'),
    (SELECT value FROM counter WHERE name = 'dropped'), failures, failure, away_since FROM attempt
"""
RESERVED: Final = 64 * 1024
"""Bytes beyond the limit for the record that messages were dropped on purpose."""
_MOST_REFUSED: Final = 1000
_BUSY: Final = 10.0


class SpoolFullError(OSError):
    """There is no room for further messages."""

    def __init__(self, waiting: int, limit: int) -> None:
        super().__init__(
            errno.ENOSPC,
            f"the spool of audit messages is full ({waiting} of {limit} bytes): make the collector "
            "reachable again, or raise spool_bytes in [plugin.audit-atna]",
        )


class SpooledMessage(NamedTuple):
    """A message that waits."""

    id: int
    body: bytes


class RefusedMessage(NamedTuple):
    """A message that the collector refuses for good."""

    id: int
    body: bytes
    reason: str


class SpoolState(NamedTuple):
    """How a spool is.

    Attributes
    ----------
    waiting, refused : int
        Messages that wait, and those set aside.
    bytes : int
        Of those that wait.
    dropped : int
        Those that found no room, of which the collector has not been told.
    failures : int
        How often messages could not be delivered, ever.
    failure : str
        Why the last attempt failed; empty if it did not.
    away_since : float
        When the first of the attempts that failed in a row was; seconds since the epoch.
    """

    waiting: int
    refused: int
    bytes: int
    dropped: int
    failures: int
    failure: str
    away_since: float


class Spool:
    """Messages that wait; blocking, for threads.

    Parameters
    ----------
    path : Path
        The file; its directory is made.
    limit : int
        Bytes that may wait.
    fsync : bool
        Whether what was added survives a power failure.
    """

    def __init__(self, path: Path, limit: int, *, fsync: bool) -> None:
        self._path = path
        self._limit = limit
        self._fsync = fsync
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None

    def open(self) -> None:
        """Open the file, and make it if there is none.

        Raises
        ------
        OSError
            It cannot be used.
        """
        self._path.parent.mkdir(0o700, parents=True, exist_ok=True)
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        with self._errors():
            database = sqlite3.connect(
                self._path, timeout=_BUSY, isolation_level=None, check_same_thread=False
            )
            self._database = database
            database.execute("PRAGMA journal_mode = WAL")
            database.execute(f"PRAGMA synchronous = {'FULL' if self._fsync else 'NORMAL'}")
            database.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file; idempotent."""
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    def add(self, bodies: Sequence[bytes], *, drop: bool, reserve: int = 0) -> int:
        """Add messages, all of them or none; return how many were dropped.

        Parameters
        ----------
        bodies : sequence of bytes
        drop : bool
            Whether to leave out, and count, what finds no room.
        reserve : int
            Bytes beyond the limit that these may take.

        Raises
        ------
        SpoolFullError
            There is no room, and they are not to be dropped.
        OSError
            They cannot be written.
        """
        with self._transaction() as database:
            waiting = _counter(database, "bytes")
            kept = []
            for body in bodies:
                if waiting + len(body) > self._limit + reserve:
                    if not drop:
                        raise SpoolFullError(waiting, self._limit)
                    continue
                kept.append((body,))
                waiting += len(body)
            database.executemany("INSERT INTO message (body) VALUES (?)", kept)
            _set_counter(database, "bytes", waiting)
            dropped = len(bodies) - len(kept)
            if dropped:
                _set_counter(database, "dropped", _counter(database, "dropped") + dropped)
            return dropped

    def peek(self, count: int) -> list[SpooledMessage]:
        """Return the messages that have waited longest, at most so many."""
        with self._lock, self._errors():
            found = self._open_database.execute(
                "SELECT id, body FROM message ORDER BY id LIMIT ?", (count,)
            )
            return [SpooledMessage(*row) for row in found]

    def remove(self, messages: Sequence[SpooledMessage]) -> None:
        """Forget messages that the collector has, which therefore is there."""
        with self._transaction() as database:
            _end_failure(database)
            freed = 0
            for message in messages:  # of which some may have been dropped meanwhile
                gone = database.execute("DELETE FROM message WHERE id = ?", (message.id,))
                freed += len(message.body) * gone.rowcount
            _set_counter(database, "bytes", max(0, _counter(database, "bytes") - freed))

    def set_aside(self, message: SpooledMessage, reason: str) -> None:
        """Keep a message apart that the collector refuses; of these the last 1000 are kept."""
        with self._transaction() as database:
            _end_failure(database)
            gone = database.execute("DELETE FROM message WHERE id = ?", (message.id,))
            if not gone.rowcount:
                return  # dropped meanwhile
            waiting = _counter(database, "bytes") - len(message.body)
            _set_counter(database, "bytes", max(0, waiting))
            database.execute(
                "INSERT INTO refused (body, reason) VALUES (?, ?)", (message.body, reason)
            )
            database.execute(
                "DELETE FROM refused WHERE id <= (SELECT max(id) FROM refused) - ?",
                (_MOST_REFUSED,),
            )

    def take_dropped(self) -> int:
        """Return how many messages were dropped since this was asked, if there is room again."""
        with self._transaction() as database:
            dropped = _counter(database, "dropped")
            if not dropped or _counter(database, "bytes") > self._limit // 2:
                return 0
            _set_counter(database, "dropped", 0)
            return dropped

    def state(self) -> SpoolState:
        """Return how it is."""
        with self._lock, self._errors():
            return SpoolState(*self._open_database.execute(_COUNTS).fetchone())

    def set_aside_messages(self, count: int) -> list[RefusedMessage]:
        """Return what the collector refuses, the first first."""
        with self._lock, self._errors():
            found = self._open_database.execute(
                "SELECT id, body, reason FROM refused ORDER BY id LIMIT ?", (count,)
            )
            return [RefusedMessage(*row) for row in found]

    def forget_set_aside(self, last: int) -> int:
        """Forget what the collector refuses, up to a number; return how many these are."""
        with self._transaction() as database:
            return database.execute("DELETE FROM refused WHERE id <= ?", (last,)).rowcount

    def note_failure(self, failure: str) -> None:
        """Note that messages could not be delivered, and why; until some are."""
        with self._transaction() as database:
            database.execute(
                "UPDATE attempt SET failure = ?1, failures = failures + 1, "
                "away_since = CASE WHEN failure = '' THEN ?2 ELSE away_since END",
                (failure, time.time()),
            )

    def ask_to_flush(self) -> None:
        """Ask whoever delivers not to wait any longer."""
        with self._transaction() as database:
            _set_counter(database, "flushes", _counter(database, "flushes") + 1)

    def flushes(self) -> int:
        """Return how often that was asked."""
        with self._lock, self._errors():
            return _counter(self._open_database, "flushes")

    @property
    def _open_database(self) -> sqlite3.Connection:
        if self._database is None:
            raise OSError(errno.EBADF, "the spool of audit messages is closed")
        return self._database

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._errors():
            database = self._open_database
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
            except BaseException:
                database.execute("ROLLBACK")
                raise
            database.execute("COMMIT")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise OSError(
                errno.EIO, f"the spool of audit messages cannot be used: {error}", str(self._path)
            ) from error


def _counter(database: sqlite3.Connection, name: str) -> int:
    [value] = database.execute("SELECT value FROM counter WHERE name = ?", (name,)).fetchone()
    return int(value)


def _end_failure(database: sqlite3.Connection) -> None:
    database.execute("UPDATE attempt SET failure = '', away_since = 0 WHERE failure != ''")


def _set_counter(database: sqlite3.Connection, name: str, value: int) -> None:
    database.execute("UPDATE counter SET value = ? WHERE name = ?", (value, name))
