"""The files of a trail as they are at a moment: for verification, which takes its time."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from attrs import frozen

from pacs_audit_json.rotating import list_backups
from pacs_audit_json.signing import Checkpoint, parse_checkpoint

LONGEST_LINE: Final = 16 * 1024 * 1024


@frozen
class Trail:
    """Files, the oldest first, and how much of each there was.

    Attributes
    ----------
    files : tuple of (Path, os.stat_result)
        With what tells them from others and how large they were: the file that is written may
        have been set aside under another name before it is read.
    checkpoints : Path
        File with the checkpoints; need not exist.
    checkpoint_size : int
        Its bytes.
    """

    files: tuple[tuple[Path, os.stat_result], ...]
    checkpoints: Path
    checkpoint_size: int

    def lines(self) -> Iterator[tuple[bytes, str]]:
        """Yield each line, and where it is.

        Raises
        ------
        OSError
            A file cannot be read.
        """
        for path, status in self.files:
            with _open_same(path, status) as file:
                for number, line in enumerate(_lines(file, status.st_size), 1):
                    yield line, f"{path.name}:{number}"

    def read_checkpoints(self) -> Iterator[Checkpoint | None]:
        """Yield the checkpoints; None for a line that is none."""
        if self.checkpoint_size:
            with self.checkpoints.open("rb") as file:
                yield from map(parse_checkpoint, _lines(file, self.checkpoint_size))


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
        statuses = tuple((file, file.stat()) for file in files)
        size = checkpoints.stat().st_size if checkpoints.exists() else 0
    return Trail(statuses, checkpoints, size)


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


def _open_same(path: Path, status: os.stat_result) -> BinaryIO:
    """Open the file that was at the path, wherever it has been set aside since."""
    for name in _names_of(path):
        try:
            file = name.open("rb")
        except FileNotFoundError:
            continue  # is being set aside, or has been removed since it was listed
        if os.path.samestat(os.fstat(file.fileno()), status):
            return file
        file.close()
    text = "removed while the trail was verified: do so again"
    raise FileNotFoundError(errno.ENOENT, text, str(path))


def _names_of(path: Path) -> Iterator[Path]:
    yield path
    # Listed only now that it is not there any more: it might be set aside after a listing.
    yield from list_backups(path)


def _lines(file: BinaryIO, size: int) -> Iterator[bytes]:
    while size > 0 and (line := file.readline(min(LONGEST_LINE, size))):
        size -= len(line)
        yield line
