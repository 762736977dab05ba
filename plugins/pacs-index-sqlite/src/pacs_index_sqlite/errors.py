"""Faults of a database file, in the operator's words."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pacs_core.contracts import StorageFullError


class SqliteIndexError(Exception):
    """The index cannot do what it was asked."""


class CorruptIndexError(SqliteIndexError):
    """The file is damaged, or no SQLite database at all."""


class NewerSchemaError(SqliteIndexError):
    """The file was written by a later version of this plugin."""


class BusyIndexError(SqliteIndexError):
    """Another process has kept the file locked for too long."""


class ReplacedIndexError(SqliteIndexError):
    """Another index has taken the place of the one that is open: nothing was done."""


class GoneIndexError(SqliteIndexError):
    """A file of the index was deleted while it was open: nothing was done."""

    @classmethod
    def of(cls, path: Path | str) -> "GoneIndexError":
        """Return the error for a file."""
        return cls(
            f"{path} was deleted while the index was in use: run `pacs index rebuild`; a node that "
            "runs uses the new index at once"
        )


_CAUSES: dict[int, tuple[type[Exception], str]] = {
    sqlite3.SQLITE_FULL: (StorageFullError, "no room left for the index {path}"),
    sqlite3.SQLITE_CORRUPT: (
        CorruptIndexError,
        "the index {path} is damaged ({error}): run `pacs index rebuild`",
    ),
    sqlite3.SQLITE_NOTADB: (
        CorruptIndexError,
        "{path} is not an SQLite database: run `pacs index rebuild`, which replaces it",
    ),
    sqlite3.SQLITE_IOERR: (
        SqliteIndexError,
        "cannot read or write the index {path} ({error}): check the disk, and whether the files "
        "beside it that end in -wal and -shm were deleted; then run `pacs index rebuild`",
    ),
    sqlite3.SQLITE_BUSY: (
        BusyIndexError,
        "another process keeps the index {path} locked ({error}): end it, or raise "
        "busy_timeout in [plugin.index-sqlite]",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        SqliteIndexError,
        "cannot open the index {path} ({error}): check that its folder exists and is writable, and "
        "the owner and permissions of the file and of those beside it that end in -wal and -shm",
    ),
    sqlite3.SQLITE_READONLY: (
        SqliteIndexError,
        "cannot write the index {path} ({error}): check the owner and permissions of the file, of "
        "those beside it that end in -wal and -shm, and of their folder",
    ),
}


def translate_error(error: sqlite3.Error, path: Path) -> Exception:
    """Return the error to raise in place of one of SQLite's."""
    # Extended result codes carry the primary one in their low byte (SQLite, "Result Codes").
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code not in _CAUSES:
        return SqliteIndexError(f"the index {path} failed: {error}")
    kind, message = _CAUSES[code]
    return kind(message.format(path=path, error=error))


@contextmanager
def translate_errors(path: Path) -> Iterator[None]:
    """Raise the errors of SQLite in the operator's words."""
    try:
        yield
    except sqlite3.Error as error:
        raise translate_error(error, path) from error
