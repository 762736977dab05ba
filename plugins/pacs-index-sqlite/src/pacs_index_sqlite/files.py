"""The files of an index on disk, and whether those that are open are still the ones in use.

The configured path is a file, or, once an index was built again, a symbolic link to one: so a new
index takes the old one's place by renaming a link, at once, and each has a write-ahead log
(``-wal``) and its shared memory (``-shm``) of its own name. (A file renamed over another would
inherit its log, and SQLite would play that into it.)

A process finds out by comparing inode numbers: in each transaction once it holds the lock for
writing, which whoever puts a new index in place holds as well, and before each search.
"""

import os
from pathlib import Path
from typing import Final

from attrs import field, frozen

from pacs_index_sqlite.errors import GoneIndexError, ReplacedIndexError

ACCOMPANYING: Final = ("-wal", "-shm")

Identity = tuple[int, int] | None


def identity(path: str | Path) -> Identity:
    """Return device and inode number of a file; None if there is none."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


@frozen
class IndexFiles:
    """The files that a process has open.

    Attributes
    ----------
    path : Path
        As configured.
    actual : Path
        Where it leads to.
    """

    path: Path
    actual: Path
    _main: Identity = field(init=False)
    _beside: tuple[tuple[str, Identity], ...] = field(init=False)

    @_main.default
    def _identify(self) -> Identity:
        return identity(self.actual)

    @_beside.default
    def _identify_beside(self) -> tuple[tuple[str, Identity], ...]:
        names = (f"{self.actual}{suffix}" for suffix in ACCOMPANYING)
        return tuple((name, identity(name)) for name in names)

    def check(self) -> None:
        """Make sure that what is open is what others open.

        Raises
        ------
        ReplacedIndexError
            Another index is in its place now.
        GoneIndexError
            A file was deleted, and nothing written now would be found again.
        """
        main = identity(self.path)
        if main is None:
            raise GoneIndexError.of(self.path)
        if main != self._main:
            raise ReplacedIndexError(f"the index {self.path} was replaced by another file")
        for name, opened in self._beside:
            if identity(name) != opened:
                raise GoneIndexError.of(name)


def sync_directory(path: Path) -> None:
    """Make the names in a directory survive a power failure."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
