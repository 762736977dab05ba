"""The changes that are kept for consumers: written with the rows, read later, trimmed when done.

While the table of consumers is empty, a transaction costs one look into it and nothing else. A
change carries all that is known of its instance, since the row may be gone when it is read.
AUTOINCREMENT never gives a sequence twice, also after all changes were removed; and because SQLite
has one writer at a time, sequences are in the order of commits.
"""

import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

from attrs import define, frozen

from pacs_core.contracts import (
    Change,
    ChangeKind,
    ChangeLog,
    ChangesLostError,
    Cursor,
    StoredInstance,
)
from pacs_core.relational import change_values
from pacs_index_sqlite.correction_log import LAST, LastSeen
from pacs_index_sqlite.locations import LOCATION, stored_instance

# Theory of operation
#
# The outbox pattern: a change is a row of the table `change`, written in the transaction that adds,
# replaces or removes the instance. Either both are there or none, whatever dies when. Consumers
# read changes later and note how far they are, so each change is delivered at least once.
#
#   change          what happened, in the order of commits
#   consumer        a name and the last sequence that it has done (its cursor)
#   complete_study  studies that were said to be complete, and up to which change that was true
#
# Order: SQLite has one writer at a time, over all processes, and AUTOINCREMENT gives ascending
# numbers within that lock. A reader that has seen sequence n can therefore never find a smaller one
# later, as it could where transactions overlap. That is why a cursor is one number.
#
# Cost: nothing is written while nobody follows. Whether somebody does is read once for each
# transaction, not remembered, since another process may have begun to follow.
#
# Trimming: whatever all cursors have passed is deleted, with the cursor's own move. A consumer that
# is gone for good holds everything until it is forgotten (`unfollow`); this is deliberate, and
# `pacs consumers` shows it. There is no limit of age or number: a change that was dropped would be
# an image that a consumer never hears of.
#
# A rebuilt index takes the tables over, numbers included (`take_over`). If that is impossible the
# numbers begin anew, and a cursor beyond the last change is told so (`ChangesLostError`) instead of
# waiting for ever.

Result = TypeVar("Result")
Row = tuple[Any, ...]

TABLES: Final = (
    """CREATE TABLE change (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, time REAL NOT NULL,
        StudyInstanceUID TEXT NOT NULL, SeriesInstanceUID TEXT, SOPInstanceUID TEXT,
        SOPClassUID TEXT, transfer_syntax_uid TEXT, object_key TEXT, size INTEGER,
        dataset_offset INTEGER, digest BLOB)""",
    """CREATE TABLE consumer (
        name TEXT PRIMARY KEY NOT NULL, sequence INTEGER NOT NULL, walked INTEGER NOT NULL
        ) WITHOUT ROWID""",
    """CREATE TABLE complete_study (
        StudyInstanceUID TEXT PRIMARY KEY NOT NULL, through INTEGER NOT NULL) WITHOUT ROWID""",
)
_COLUMNS: Final = """
    kind, time, StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID, SOPClassUID,
    transfer_syntax_uid, object_key, size, dataset_offset, digest, corrections, origin"""
_NOTE: Final = f"INSERT INTO change ({_COLUMNS}) VALUES ({', '.join('?' * 13)})"  # noqa: S608
_NOTE_STUDY: Final = "INSERT INTO change (kind, time, StudyInstanceUID) VALUES (?, ?, ?)"
_BEGIN: Final = f"SELECT (SELECT 1 FROM consumer LIMIT 1), {LAST}"  # noqa: S608
_LAST: Final = "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'change'), 0)"
_FOLLOW: Final = f"INSERT OR IGNORE INTO consumer VALUES (?, {_LAST}, ?)"  # noqa: S608
_AFTER: Final = f"""
    SELECT sequence, kind, time, {LOCATION} FROM change
    WHERE sequence > ? ORDER BY sequence LIMIT ?"""  # noqa: S608
_CURSORS: Final = """
    SELECT name, sequence, walked,
    (SELECT count(*) FROM change WHERE change.sequence > consumer.sequence)
    FROM consumer WHERE name = coalesce(?, name) ORDER BY name"""
_ADVANCE: Final = "UPDATE consumer SET sequence = max(sequence, ?), walked = 1 WHERE name = ?"
_TRIM: Final = """
    DELETE FROM change WHERE sequence <= coalesce(
    (SELECT min(sequence) FROM consumer), (SELECT max(sequence) FROM change))"""
_HAS_STUDY: Final = "SELECT EXISTS (SELECT 1 FROM study WHERE StudyInstanceUID = ?)"
_COMPLETE: Final = "INSERT OR REPLACE INTO complete_study VALUES (?, ?)"
_WHOLE: Final = (
    "sqlite_sequence WHERE name = 'change'",
    "change",
    "consumer",
    "complete_study",
    "lease",
)
_BATCH: Final = 512


def create_tables(connection: sqlite3.Connection) -> None:
    """Make the tables: a step of the schema."""
    for statement in TABLES:
        connection.execute(statement)


@define
class Outbox:
    """The changes as the writer sees them, within its transactions."""

    _connection: sqlite3.Connection
    _last: LastSeen
    active: bool = False
    """Whether anybody follows; known for the length of a transaction, see :meth:`begin`."""

    def begin(self) -> None:
        """Look whether anybody follows, and which correction was the last.

        With each transaction, as other processes may follow, and correct.
        """
        followed, last = self._connection.execute(_BEGIN).fetchone()
        self.active = followed is not None
        self._last.number = last or 0

    def note(self, kind: ChangeKind, instance: StoredInstance) -> None:
        """Write a change."""
        self._connection.execute(_NOTE, change_values(kind, time.time(), instance, instance.key))

    def follow(self, consumer: str, walked: bool) -> Cursor:
        """Return the cursor of a consumer, made if there is none."""
        self._connection.execute(_FOLLOW, (consumer, walked))
        return cursors(self._connection, consumer)[0]

    def advance(self, consumer: str, sequence: int) -> None:
        """Move a cursor, and remove what nobody needs any more."""
        if not self._connection.execute(_ADVANCE, (sequence, consumer)).rowcount:
            raise ChangesLostError(f"the index does not know the consumer {consumer}")
        self._connection.execute(_TRIM)

    def unfollow(self, consumer: str) -> bool:
        """Forget a consumer, and what is kept for nobody else."""
        found = self._connection.execute("DELETE FROM consumer WHERE name = ?", (consumer,))
        self._connection.execute(_TRIM)
        return found.rowcount > 0

    def note_complete(self, study: str, through: int) -> bool:
        """Note that a study is complete."""
        if not self._connection.execute(_HAS_STUDY, (study,)).fetchone()[0]:
            self._open(study)
            return False
        known = self._through(study) is not None
        self._connection.execute(_COMPLETE, (study, through))
        if not known:
            self._note_study(ChangeKind.STUDY_COMPLETE, study)
        return not known

    def note_reopened(self, study: str, sequence: int) -> bool:
        """Note that a study is complete no more."""
        through = self._through(study)
        if through is None or sequence <= through:
            return False
        self._open(study)
        self._note_study(ChangeKind.STUDY_REOPENED, study)
        return True

    def _through(self, study: str) -> int | None:
        statement = "SELECT through FROM complete_study WHERE StudyInstanceUID = ?"
        found = self._connection.execute(statement, (study,)).fetchone()
        return found and int(found[0])

    def _open(self, study: str) -> None:
        self._connection.execute("DELETE FROM complete_study WHERE StudyInstanceUID = ?", (study,))

    def _note_study(self, kind: ChangeKind, study: str) -> None:
        self._connection.execute(_NOTE_STUDY, (kind.value, time.time(), study))

    def take_over(self, table: str, rows: Iterable[Row]) -> None:
        """Put rows into a table as they were in the index before this one."""
        if table == "sqlite_sequence":
            self._connection.execute("DELETE FROM sqlite_sequence WHERE name = 'change'")
        width = len(self._connection.execute(f"PRAGMA table_info({table})").fetchall())
        for row in rows:
            # An index of before may lack the last columns.
            row = (*row, *(None,) * (width - len(row)))
            marks = ", ".join("?" * len(row))
            self._connection.execute(f"INSERT INTO {table} VALUES ({marks})", row)  # noqa: S608


def kept_rows(connection: sqlite3.Connection) -> Iterable[tuple[str, list[Row]]]:
    """Iterate over all that an index keeps for consumers and nodes: tables, and some of their rows.

    One that was made by an earlier version may lack some of the tables.
    """
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    for source in _WHOLE:
        table = source.split()[0]
        if table != "sqlite_sequence" and table not in tables:
            continue
        cursor = connection.execute(f"SELECT * FROM {source}")  # noqa: S608
        while rows := cursor.fetchmany(_BATCH):
            yield table, rows


def cursors(connection: sqlite3.Connection, consumer: str | None = None) -> list[Cursor]:
    """Return the cursor of one consumer, or of all."""
    found = connection.execute(_CURSORS, (consumer,))
    return [
        Cursor(name, sequence, bool(walked), behind) for name, sequence, walked, behind in found
    ]


def changes_after(connection: sqlite3.Connection, after: int, limit: int) -> list[Change]:
    """Return some changes after another."""
    found = connection.execute(_AFTER, (after, limit)).fetchall()
    if not found and after > connection.execute(f"SELECT {_LAST}").fetchone()[0]:
        raise ChangesLostError(f"the index has never had a change {after}: it was made anew")
    return [_change(row) for row in found]


def _change(row: Row) -> Change:
    sequence, kind, when, *location = row
    instance = None if location[2] is None else stored_instance(tuple(location))
    return Change(sequence, ChangeKind(kind), when, location[0], instance)


@frozen
class SqliteChangeLog(ChangeLog):
    """The changes as the kernel sees them.

    Parameters
    ----------
    write, read : callable
        Run a function in a transaction of the writer, or with a connection for reading.
    """

    _write: Callable[[Callable[[Outbox], Any]], Awaitable[Any]]
    _read: Callable[[Callable[[sqlite3.Connection], Any]], Awaitable[Any]]

    async def follow(self, consumer: str, *, walked: bool = True) -> Cursor:
        """Return the cursor of a consumer, see :meth:`ChangeLog.follow`."""
        cursor: Cursor = await self._write(lambda outbox: outbox.follow(consumer, walked))
        return cursor

    async def changes(self, after: int, limit: int) -> Sequence[Change]:
        """Return some changes, see :meth:`ChangeLog.changes`."""
        found: list[Change] = await self._read(lambda c: changes_after(c, after, limit))
        return found

    async def advance(self, consumer: str, sequence: int) -> None:
        """Move a cursor, see :meth:`ChangeLog.advance`."""
        await self._write(lambda outbox: outbox.advance(consumer, sequence))

    async def unfollow(self, consumer: str) -> bool:
        """Forget a consumer, see :meth:`ChangeLog.unfollow`."""
        return bool(await self._write(lambda outbox: outbox.unfollow(consumer)))

    async def cursors(self) -> Sequence[Cursor]:
        """Return all cursors, see :meth:`ChangeLog.cursors`."""
        found: list[Cursor] = await self._read(cursors)
        return found

    async def note_complete(self, study_instance_uid: str, through: int) -> bool:
        """Note that a study is complete, see :meth:`ChangeLog.note_complete`."""
        study = study_instance_uid
        return bool(await self._write(lambda outbox: outbox.note_complete(study, through)))

    async def note_reopened(self, study_instance_uid: str, sequence: int) -> bool:
        """Note that a study is complete no more, see :meth:`ChangeLog.note_reopened`."""
        study = study_instance_uid
        return bool(await self._write(lambda outbox: outbox.note_reopened(study, sequence)))
