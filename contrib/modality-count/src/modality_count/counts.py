"""The counts, in a file of their own: blocking, for worker threads and the command."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

_SCHEMA: Final = """
    CREATE TABLE IF NOT EXISTS instance (uid TEXT PRIMARY KEY, modality TEXT NOT NULL)
        WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS by_modality ON instance (modality);
"""
_PATIENCE: Final = 30.0
"""Seconds to wait for other processes that write."""


class Counts:
    """Which instances are stored, of which modality.

    Parameters
    ----------
    data_directory : Path
        Of the node.
    """

    def __init__(self, data_directory: Path) -> None:
        self.path = data_directory / "modality-count" / "counts.sqlite"

    def prepare(self) -> None:
        """Make the file.

        Raises
        ------
        OSError, sqlite3.Error
            It cannot be written.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._connection() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_SCHEMA)

    def add(self, uid: str, modality: str) -> None:
        """Count an instance, once however often it is added."""
        with self._connection() as connection, connection:
            connection.execute("INSERT OR REPLACE INTO instance VALUES (?, ?)", (uid, modality))

    def remove(self, uid: str) -> None:
        """Count an instance no longer."""
        with self._connection() as connection, connection:
            connection.execute("DELETE FROM instance WHERE uid = ?", (uid,))

    def read(self) -> list[tuple[str, int]]:
        """Return the number of instances by modality; nothing if nobody has counted yet."""
        if not self.path.exists():
            return []
        query = "SELECT modality, COUNT(*) FROM instance GROUP BY modality ORDER BY modality"
        with self._connection() as connection:
            return list(connection.execute(query))

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=_PATIENCE)) as connection:
            # With a write-ahead log this loses nothing when a process dies.
            connection.execute("PRAGMA synchronous = NORMAL")
            yield connection
