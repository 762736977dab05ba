"""The files of a trail as they are at a moment: for verification, which takes its time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from attrs import frozen

from pacs_audit_json.rotating import list_backups
from pacs_audit_json.signing import Checkpoint, parse_checkpoint

LONGEST_LINE: Final = 16 * 1024 * 1024


@frozen
class Trail:
    """Files, the oldest first, and how much of each there was.

    Attributes
    ----------
    files : tuple of (Path, int)
        With their sizes in bytes.
    checkpoints : Path
        File with the checkpoints; need not exist.
    checkpoint_size : int
        Its bytes.
    """

    files: tuple[tuple[Path, int], ...]
    checkpoints: Path
    checkpoint_size: int

    def lines(self) -> Iterator[tuple[bytes, str]]:
        """Yield each line, and where it is.

        Raises
        ------
        OSError
            A file cannot be read.
        """
        for path, size in self.files:
            for number, line in enumerate(_lines(path, size), 1):
                yield line, f"{path.name}:{number}"

    def read_checkpoints(self) -> Iterator[Checkpoint | None]:
        """Yield the checkpoints; None for a line that is none."""
        if self.checkpoint_size:
            yield from map(parse_checkpoint, _lines(self.checkpoints, self.checkpoint_size))


def take_snapshot(path: Path, checkpoints: Path) -> Trail:
    """Return the files that belong to a path, at a moment at which nobody writes.

    Raises
    ------
    OSError
        There is no such file, or it cannot be read.
    """
    with _shared_lock(path):
        backups = list_backups(path)
        files = [*backups, path] if path.exists() or not backups else backups
        sizes = tuple((file, file.stat().st_size) for file in files)
        size = checkpoints.stat().st_size if checkpoints.exists() else 0
    return Trail(sizes, checkpoints, size)


@contextmanager
def _shared_lock(path: Path) -> Iterator[None]:
    try:
        lock = os.open(path.with_name(path.name + ".lock"), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # a copy, that nobody writes
        yield
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield
    finally:
        os.close(lock)


def _lines(path: Path, size: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        while size > 0 and (line := file.readline(min(LONGEST_LINE, size))):
            size -= len(line)
            yield line
