"""The log of corrections, in a table; and the last of them, as the transactions have seen it."""

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from attrs import define

from pacs_core.contracts import (
    Correction,
    CorrectionExistsError,
    CorrectionLog,
    correction_from_json,
    correction_to_json,
)

TABLES: Final = (
    """CREATE TABLE correction (
        number INTEGER PRIMARY KEY, content TEXT NOT NULL, object_key TEXT NOT NULL,
        is_settled INTEGER NOT NULL)""",
    "ALTER TABLE instance ADD COLUMN corrections TEXT",
    "ALTER TABLE change ADD COLUMN corrections TEXT",
    "CREATE INDEX instance_corrected ON instance (id) WHERE corrections IS NOT NULL",
)
LAST: Final = "(SELECT max(number) FROM correction)"
_ADD: Final = "INSERT OR IGNORE INTO correction VALUES (?, ?, ?, ?)"
_SETTLE: Final = "UPDATE correction SET is_settled = 1 WHERE number = ?"
_AFTER: Final = """
    SELECT content, object_key, is_settled FROM correction WHERE number > ? ORDER BY number"""
_ALL: Final = "SELECT number, content, object_key, is_settled FROM correction"
_TAKE: Final = "INSERT OR REPLACE INTO correction VALUES (?, ?, ?, ?)"


def create_tables(connection: sqlite3.Connection) -> None:
    """Make the table, and the columns of what it is about: a step of the schema."""
    for statement in TABLES:
        connection.execute(statement)


@define
class LastSeen:
    """The number of the last correction that any transaction of this process has seen."""

    number: int = 0


def add(connection: sqlite3.Connection, correction: Correction) -> bool:
    """Add a correction; tell whether its number was free."""
    row = (correction.number, correction_to_json(correction), correction.key, correction.is_settled)
    return connection.execute(_ADD, row).rowcount > 0


def rows(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
    """Return the whole log, for the index that takes the place of this one."""
    found = "SELECT 1 FROM sqlite_master WHERE name = 'correction'"
    if connection.execute(found).fetchone() is None:
        return []  # made by a version that kept none
    return connection.execute(_ALL).fetchall()


def take_over(connection: sqlite3.Connection, taken: Sequence[tuple[Any, ...]]) -> None:
    """Put the log of the index before this one over what was found in the store."""
    connection.executemany(_TAKE, taken)


@define
class SqliteCorrectionLog(CorrectionLog):
    """The log as the kernel sees it.

    Parameters
    ----------
    write, read : callable
        Run a function with a connection, in a transaction of the writer, or for reading.
    last : LastSeen
    """

    _write: Callable[[Callable[[sqlite3.Connection], Any]], Awaitable[Any]]
    _read: Callable[[Callable[[sqlite3.Connection], Any]], Awaitable[Any]]
    _last: LastSeen

    @property
    def seen(self) -> int:
        """The number of the last correction, see :attr:`CorrectionLog.seen`."""
        return self._last.number

    async def add(self, correction: Correction) -> None:
        """Add a correction, see :meth:`CorrectionLog.add`."""
        if not await self._write(lambda connection: add(connection, correction)):
            raise CorrectionExistsError(f"there is a correction {correction.number} already")
        self._last.number = max(self._last.number, correction.number)

    async def settle(self, number: int) -> None:
        """Note that a correction has been applied, see :meth:`CorrectionLog.settle`."""
        await self._write(lambda connection: connection.execute(_SETTLE, (number,)))

    async def corrections(self, after: int = 0) -> Sequence[Correction]:
        """Return corrections by number, see :meth:`CorrectionLog.corrections`."""
        found = await self._read(lambda connection: connection.execute(_AFTER, (after,)).fetchall())
        read = [
            correction_from_json(content, key=key, is_settled=bool(is_settled))
            for content, key, is_settled in found
        ]
        if read:
            self._last.number = max(self._last.number, read[-1].number)
        return read
