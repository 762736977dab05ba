"""The files of an index on disk, and whether those that are open are still the ones in use.

The configured path is a file, or, once an index was built again, a symbolic link to one: so a new
index takes the old one's place by renaming a link, at once, and each has a write-ahead log
(``-wal``) and its shared memory (``-shm``) of its own name. (A file renamed over another would
inherit its log, and SQLite would play that into it.)

A process finds out by comparing inode numbers: in each transaction once it holds the lock for
writing, which whoever puts a new index in place holds as well, and before each search.

Nothing else than a change of their directory makes other files of these names, and each leaves its
time in the directory. So as long as that is the same directory, of the same time, one look at it is
enough. Times are of some milliseconds, of two seconds at worst: one that is not that long ago when
the files are compared may hide a change that follows, and is not relied on.
"""

import os
import time
from pathlib import Path
from typing import Final

from attrs import define, field

from pacs_index_sqlite.errors import GoneIndexError, ReplacedIndexError

ACCOMPANYING: Final = ("-wal", "-shm")

Identity = tuple[int, int] | None

_COARSE: Final = 2_000_000_000
"""Nanoseconds within which two changes of a directory may have the same time."""


def identity(path: str | Path) -> Identity:
    """Return device and inode number of a file; None if there is none."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


@define(eq=False)
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
    _directory: str = field(init=False)
    _unchanged: tuple[int, int, int] | None = field(default=None, init=False)
    """Device, inode number and time of the directory in which all was as it should be."""

    @_main.default
    def _identify(self) -> Identity:
        return identity(self.actual)

    @_beside.default
    def _identify_beside(self) -> tuple[tuple[str, Identity], ...]:
        names = (f"{self.actual}{suffix}" for suffix in ACCOMPANYING)
        return tuple((name, identity(name)) for name in names)

    @_directory.default
    def _find_directory(self) -> str:
        """Return the directory, or nothing where a change elsewhere may matter."""
        if self.path.is_symlink() and os.path.dirname(self.path.readlink()):
            return ""  # it leads to a file elsewhere
        return os.path.dirname(self.path) or "."

    def check(self) -> None:
        """Make sure that what is open is what others open.

        Raises
        ------
        ReplacedIndexError
            Another index is in its place now.
        GoneIndexError
            A file was deleted, and nothing written now would be found again.
        """
        if not self._directory:
            self._compare()
            return
        try:
            found = os.stat(self._directory)
        except FileNotFoundError as error:
            raise GoneIndexError.of(self.path) from error
        state = found.st_dev, found.st_ino, found.st_ctime_ns
        if state != self._unchanged:
            self._compare()
            settled = found.st_ctime_ns + _COARSE < time.time_ns()
            self._unchanged = state if settled else None

    def _compare(self) -> None:
        main = identity(self.path)
        if main is None:
            raise GoneIndexError.of(self.path)
        if main != self._main:
            raise ReplacedIndexError(f"the index {self.path} was replaced by another file")
        for name, opened in self._beside:
            if identity(name) != opened:
                raise GoneIndexError.of(name)
