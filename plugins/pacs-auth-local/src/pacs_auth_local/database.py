"""The file of users, tokens, sessions and failures, which all workers and commands share.

It is made when there is first something to keep, for its owner alone. Functions that use it block:
they run in one thread of their own. A write waits for that of another process.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

FILE: Final = "identities.sqlite"
_PATIENCE: Final = 10.0
_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE user (
    key TEXT PRIMARY KEY, name TEXT NOT NULL, password TEXT NOT NULL, roles TEXT NOT NULL,
    ae_titles TEXT NOT NULL, disabled INTEGER NOT NULL, created REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE token (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, digest BLOB NOT NULL, owner TEXT
    REFERENCES user ON DELETE CASCADE, roles TEXT NOT NULL, actions TEXT, created REAL NOT NULL,
    expires REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE session (
    digest BLOB PRIMARY KEY, owner TEXT REFERENCES user ON DELETE CASCADE, principal TEXT NOT NULL,
    csrf TEXT NOT NULL, began REAL NOT NULL, seen REAL NOT NULL, ends REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_owner ON session (owner);
CREATE TABLE failure (
    subject TEXT PRIMARY KEY, count INTEGER NOT NULL, last REAL NOT NULL, until REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX failure_last ON failure (last);
"""


class IdentityFileError(Exception):
    """The file cannot be used; the message says why."""


class IdentityFile:
    """The file of a node.

    Parameters
    ----------
    directory : Path
        The plugin's.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE
        self._connection: sqlite3.Connection | None = None

    @property
    def exists(self) -> bool:
        """Whether anything was ever kept."""
        return self._connection is not None or os.path.exists(self.path)

    def close(self) -> None:
        """Close it; using it opens it again."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    @contextmanager
    def transaction(self, *, write: bool = True) -> Iterator[sqlite3.Connection]:
        """Use the file in one transaction, which an exception takes back.

        Raises
        ------
        IdentityFileError
            It cannot be read or written, or is of a later version.
        """
        try:
            connection = self._connection or self._open()
            connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise IdentityFileError(f"{self.path}: {error}") from error

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite would make it with the process's mask, and gives its other files the same mode.
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        connection = sqlite3.connect(
            self.path, _PATIENCE, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA journal_mode = WAL")
            self._make_schema(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _make_schema(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > _VERSION:
            connection.execute("ROLLBACK")
            raise IdentityFileError(f"{self.path} is of a later version of pacs-auth-local")
        if version == 0:
            for statement in _SCHEMA.split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {_VERSION}")
        connection.execute("COMMIT")
