"""Public API for plugins whose state is in PostgreSQL, or who look for a copy in a backup."""

import hashlib
from pathlib import Path

from attrs import field, frozen

from pacs_backup.repository import BackupError, Repository

__all__ = ["BackupError", "PostgresqlDatabase", "find_copy"]


@frozen
class PostgresqlDatabase:
    """A schema of a PostgreSQL database that belongs to an archive.

    Attributes
    ----------
    name : str
        By which backups know it; the same for as long as it is the same thing.
    url : str
        As libpq takes it: ``postgresql://USER:PASSWORD@HOST:PORT/DATABASE``.
    schema : str
        Has the tables, and belongs to this archive alone. Empty for all schemas of the database but
        those that others name.
    is_derived : bool
        Whether the archive can do without it, for it can be made of the objects.
    """

    name: str
    url: str = field(repr=False)
    schema: str = ""
    is_derived: bool = False


def find_copy(folder: Path, key: str) -> Path | None:
    """Return the file of an object in the latest backup of a folder that has it whole. Blocking.

    Parameters
    ----------
    folder : Path
        Of `pacs backup create`.
    key : str
        Of the object, in the store that was backed up.

    Raises
    ------
    BackupError
        A list of a backup is damaged, or somebody writes to the folder.
    """
    repository = Repository(folder)
    with repository.locked(shared=True):
        for name in reversed(repository.names):
            for entry in repository.entries(name):
                if (entry.kind, entry.name) == ("object", key) and entry.sha256:
                    path = repository.path(entry.sha256)
                    if _digest(path) == entry.sha256:
                        return path
    return None


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""  # another backup may have it
