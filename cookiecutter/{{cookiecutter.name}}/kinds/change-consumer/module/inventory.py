"""The consumer: a table of all instances, kept in step with the archive."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from anyio import to_thread
from pacs_core.contracts import Change, ChangeConsumer, ChangeKind

_CREATE: Final = """
    CREATE TABLE IF NOT EXISTS instance (
    study TEXT, uid TEXT, sop_class TEXT, size INTEGER, PRIMARY KEY (study, uid))"""
_PUT: Final = "INSERT OR REPLACE INTO instance VALUES (?, ?, ?, ?)"
_TAKE: Final = "DELETE FROM instance WHERE study = ? AND uid = ?"


class Inventory(ChangeConsumer):
    """Keeps a row for each instance of the archive, for other programs to query.

    Parameters
    ----------
    path : Path
        The database.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    async def start(self) -> None:
        """Make the database if there is none."""
        await to_thread.run_sync(self._create)

    async def handle(self, changes: Sequence[Change]) -> None:
        """See base."""
        # Files block: a thread does the work, and the event loop goes on.
        await to_thread.run_sync(self._write, changes)

    def _create(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self._path)) as database, database:
            database.execute(_CREATE)

    def _write(self, changes: Sequence[Change]) -> None:
        # One transaction. That a change comes again does no harm: the row is what it was.
        with closing(sqlite3.connect(self._path)) as database, database:
            for change in changes:
                if change.instance is None:
                    continue
                identity = change.instance.identity
                if change.kind is ChangeKind.REMOVED:
                    database.execute(_TAKE, identity.path)
                else:
                    row = (*identity.path, identity.sop_class_uid, change.instance.size)
                    database.execute(_PUT, row)
