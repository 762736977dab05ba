"""An index built anew beside the one in use, which goes on answering and changing meanwhile.

Triggers in the old index note the paths of what changes, whichever process changes it. When the new
index is filled, what was noted is done to it as well: first while others go on writing, then,
when little is left, under the lock for writing, which is held until the new index is in place. So
no change is in one of them only. What is left of a rebuild that was cut short is removed by the
next; it is no index until the link leads to it.
"""

import logging
import os
import re
import sqlite3
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Final

from anyio import to_thread
from attrs import define, field

from pacs_core.api.files import sync_directory, try_lock
from pacs_core.contracts import IndexRebuild, InstancePath, StoredInstance
from pacs_index_sqlite.correction_log import rows
from pacs_index_sqlite.errors import SqliteIndexError
from pacs_index_sqlite.files import ACCOMPANYING
from pacs_index_sqlite.locations import ABOVE, locate
from pacs_index_sqlite.outbox import Row, kept_rows

if TYPE_CHECKING:
    from pacs_index_sqlite.index import SqliteIndex

# Theory of operation
#
# Order of events, and what a crash leaves:
#
#   triggers     The old index begins to note paths that change. A crash leaves a table that is
#                dropped when the index is opened next (`end_interrupted`).
#   filling      The new file, under a random name, is filled from the store. A crash leaves a file
#                that the next rebuild removes.
#   catching up  Paths that were noted are looked up in the old index and done to the new one, some
#                hundreds at a time. Others write meanwhile.
#   the lock     Once few are left, the lock for writing is taken and not given back. Nothing is
#                noted after that.
#   in place     The new file is closed, flushed, and linked to. A crash before the rename leaves
#                the old index in use, one after it the new one.
#
# Notes hold paths, not what has changed: the old index is asked when its turn comes, so that a path
# that changes a hundred times is done once, and order does not matter.
#
# Who waits for the lock meanwhile finds, when it gets it, that the file is not the one at the path
# any more, and opens the other (`files.IndexFiles`).

log = logging.getLogger(__name__)

_BEYOND_READING: Final = (
    "the index %s is beyond reading (%s): what a node stores while the new one is built may not be "
    "in it; if one is at work, run the rebuild again"
)
_FEW: Final = 64
"""Changes that are left to be done while nobody may write."""
_BATCH: Final = 512
_NO_DAMAGE: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL}
"""Errors that say nothing of what is in the index."""
_TRIGGERS: Final = {"INSERT": "NEW", "DELETE": "OLD", "UPDATE": "NEW"}


def _forget_changes(connection: sqlite3.Connection) -> None:
    for event in _TRIGGERS:
        connection.execute(f"DROP TRIGGER IF EXISTS rebuild_{event}")
    connection.execute("DROP TABLE IF EXISTS rebuild_changed")


def _note_changes(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    _forget_changes(connection)
    connection.execute(
        "CREATE TABLE rebuild_changed (study TEXT, uid TEXT, PRIMARY KEY (study, uid)) "
        "WITHOUT ROWID"
    )
    for event, row in _TRIGGERS.items():
        connection.execute(
            f"CREATE TRIGGER rebuild_{event} AFTER {event} ON instance BEGIN "  # noqa: S608
            "INSERT OR IGNORE INTO rebuild_changed "
            f"SELECT StudyInstanceUID, {row}.SOPInstanceUID FROM series "
            f"JOIN study ON study.id = series.parent WHERE series.id = {row}.parent; END"
        )
    connection.execute("COMMIT")


def end_interrupted(path: Path, connection: sqlite3.Connection) -> None:
    """Let an index that is opened note no changes any more for a rebuild that was cut short."""
    noted = "SELECT 1 FROM sqlite_master WHERE name = 'rebuild_changed'"
    if connection.execute(noted).fetchone() is None:
        return
    with suppress(SqliteIndexError), alone(path):
        log.warning("the rebuild of the index %s was cut short; the one before it is used", path)
        _forget_changes(connection)


@define
class Predecessor:
    """The index in use, as whoever builds the next one sees it."""

    _connection: sqlite3.Connection
    _locked: bool = field(default=False, init=False)

    @classmethod
    def open(cls, path: Path, patience: float) -> "Predecessor | None":
        """Begin to note what changes; None if there is no index, or one beyond reading."""
        if not path.exists():
            return None
        connection = sqlite3.connect(
            path, timeout=patience, isolation_level=None, check_same_thread=False
        )
        try:
            _note_changes(connection)
        except sqlite3.DatabaseError as error:
            connection.close()
            if error.sqlite_errorcode & 0xFF in _NO_DAMAGE:
                raise
            log.warning(_BEYOND_READING, path, error)
            return None
        return cls(connection)

    def take_changed(self) -> list[tuple[InstancePath, StoredInstance | None]]:
        """Return some of what has changed; takes the lock once there is little."""
        if not self._locked:
            self._connection.execute("BEGIN IMMEDIATE")
            self._locked = True
        rows = self._connection.execute("SELECT study, uid FROM rebuild_changed LIMIT ?", (_BATCH,))
        paths = [InstancePath(*row) for row in rows.fetchall()]
        self._connection.executemany(
            "DELETE FROM rebuild_changed WHERE study = ? AND uid = ?", paths
        )
        found = [(path, locate(self._connection, path)) for path in paths]
        if len(found) > _FEW:
            self._connection.execute("COMMIT")
            self._locked = False
        return found

    def unflushed(self) -> list[InstancePath]:
        """Return the paths of instances whose objects may not be on disk yet."""
        found = self._connection.execute(
            "SELECT StudyInstanceUID, SOPInstanceUID FROM unflushed "  # noqa: S608
            f"CROSS JOIN instance ON instance.id = unflushed.instance {ABOVE}"
        )
        return [InstancePath(*row) for row in found]

    def corrections(self) -> list[Row]:
        """Return the log of corrections."""
        return rows(self._connection)

    def kept_rows(self) -> Iterator[tuple[str, list[Row]]]:
        """Iterate over what is kept for consumers: tables, and some of their rows."""
        yield from kept_rows(self._connection)

    def close(self) -> None:
        """Let others write again. If this stays the index in use, it notes nothing any more."""
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            self._connection.execute("BEGIN IMMEDIATE")
            _forget_changes(self._connection)
            self._connection.execute("COMMIT")
        self._connection.close()


@define
class SqliteRebuild(IndexRebuild):
    """An index that is being built beside another.

    Attributes
    ----------
    path : Path
        As configured.
    actual : Path
        The file of the new one.
    predecessor : Predecessor or None
    """

    index: "SqliteIndex"
    path: Path
    actual: Path
    predecessor: Predecessor | None

    async def changes(self) -> AsyncGenerator[tuple[InstancePath, StoredInstance | None], None]:
        """Iterate over what changed in the index in use, see base."""
        if self.predecessor is None:
            return
        try:
            await to_thread.run_sync(_sync, self.actual)  # while others may write yet
            while True:
                found = await to_thread.run_sync(self.predecessor.take_changed)
                # What has been corrected meanwhile is read under the corrections it has.
                await self.index.take_over_corrections(self.predecessor.corrections())
                for change in found:
                    yield change
                if len(found) <= _FEW:
                    break
            await self.index.note_unflushed(self.predecessor.unflushed())
            for table, rows in self.predecessor.kept_rows():
                await self.index.take_over(table, rows)
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF in _NO_DAMAGE:
                raise
            log.warning(_BEYOND_READING, self.path, error)

    def put_in_place(self) -> None:
        """Let the path lead to the new index, which is stopped. Durable when this returns.

        Raises
        ------
        SqliteIndexError
            Not all of it is in the file.
        """
        if Path(f"{self.actual}-wal").exists():
            raise SqliteIndexError(f"the new index {self.actual} could not be closed")
        _sync(self.actual)
        before = self.path.parent / self.path.readlink() if self.path.is_symlink() else None
        link = self.actual.with_name(self.actual.name + ".link")
        link.symlink_to(self.actual.name)
        link.replace(self.path)
        sync_directory(self.path.parent)
        if before is not None:
            before.unlink(missing_ok=True)
        for suffix in ACCOMPANYING:
            Path(f"{before or self.path}{suffix}").unlink(missing_ok=True)


@contextmanager
def alone(path: Path) -> Iterator[Path]:
    """Be the only one who builds the index; yields a name for it.

    Raises
    ------
    SqliteIndexError
        Another process builds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(f"{path}.rebuild", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
    if not try_lock(lock):
        os.close(lock)
        raise SqliteIndexError(f"another process builds the index {path} already")
    try:
        _remove_leftovers(path)
        yield path.with_name(f"{path.name}.{token_hex(4)}")
    finally:
        _remove_leftovers(path)
        os.close(lock)


def _remove_leftovers(path: Path) -> None:
    """Remove what was built and is not the index in use."""
    ours = re.compile(re.escape(path.name) + r"\.[0-9a-f]{8}(?=$|-wal$|-shm$|-journal$|\.link$)")
    used = path.readlink().name if path.is_symlink() else ""
    for found in path.parent.iterdir():
        match = ours.match(found.name)
        if match and match[0] != used:
            found.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Fsync a database that nobody else knows of.

    Closing a file takes away every lock that this process has on it (POSIX fcntl), SQLite's too:
    that does no harm as long as the file has no other user.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
