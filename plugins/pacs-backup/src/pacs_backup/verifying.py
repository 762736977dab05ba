"""Verifies a backup: every content against its digest, every database by itself."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing

import anyio.to_thread

from pacs_backup.repository import BackupError, Entry, Repository


async def verify(repository: Repository, name: str) -> AsyncIterator[tuple[Entry, str]]:
    """Yield each entry of a backup with what is wrong with it; empty if nothing is.

    Raises
    ------
    BackupError
        Its list cannot be read.
    """
    for entry in repository.entries(name):
        yield entry, await _problem(repository, entry)


async def _problem(repository: Repository, entry: Entry) -> str:
    if entry.kind == "link" or not entry.sha256:
        return ""
    try:
        async for _ in repository.read(entry):
            pass
    except BackupError as error:
        return str(error)
    if entry.kind == "database":
        return await anyio.to_thread.run_sync(_check_database, repository, entry)
    return ""


def _check_database(repository: Repository, entry: Entry) -> str:
    address = f"{repository.path(entry.sha256).absolute().as_uri()}?immutable=1"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            found = [row[0] for row in connection.execute("PRAGMA integrity_check")]
    except sqlite3.Error as error:
        found = [str(error)]
    return "" if found == ["ok"] else f"database {entry.name}: {'; '.join(map(str, found))}"
