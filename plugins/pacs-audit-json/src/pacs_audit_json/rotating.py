"""A file of lines that many processes append to, set aside when it is full."""

import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pacs_core.api.files import sync_directory

if TYPE_CHECKING:
    from pacs_audit_json.chained import ChainWriter

# Theory of operation
#
# Processes agree by a lock on a file of its own, as the log is renamed while it is written. Whoever
# has the lock is alone: it looks whether the path still leads to the file that it has open,
# appends, and renames if need be.
#
# Lines are never divided. A block that could not be written whole is cut off again, because half a
# line would swallow the next one. A crash may still leave half a line; whoever writes next ends it,
# so that one record is lost and not two.
#
# Numbers of files grow, and only the current file is ever renamed. The usual way, in which each
# file takes the next number, has as many renames as files, and a crash amid them loses one.

FILE_MODE: Final = 0o660
DIRECTORY_MODE: Final = 0o770
"""Less the umask, which the node has set to what `file_mode` in its configuration says."""
_APPEND: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
_CLOSED: Final = -1
_NUMBER: Final = re.compile("[1-9][0-9]{0,17}")


class RotatingFile:
    """Lines in ``path``, older ones in ``path.1``, ``path.2``, ...: the higher, the later.

    Whoever writes holds a lock on ``path.lock``, looks whether the file is still the one at the
    path, and if it is full renames it. So every line is in exactly one file, and whole.

    Parameters
    ----------
    path : Path
    max_bytes : int
        Size that no file exceeds, unless by a single line; 0 means any size.
    backups : int
        How many files that were set aside are kept; 0 means all.
    fsync : bool
        Whether to fsync before :meth:`write` returns.
    chain : ChainWriter, optional
        What makes the lines a chain.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int,
        backups: int,
        fsync: bool,
        chain: "ChainWriter | None" = None,
    ) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._backups = backups
        self._fsync = fsync
        self._chain = chain
        self._file = _CLOSED
        self._lock = _CLOSED

    def open(self) -> None:
        """Make the directory and the file if they are missing.

        Raises
        ------
        OSError
            They cannot be made or written; says what to do.
        """
        try:
            self._path.parent.mkdir(DIRECTORY_MODE, parents=True, exist_ok=True)
            lock = self._path.with_name(self._path.name + ".lock")
            self._lock = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
            with self._hold_lock():
                self._follow()
                if self._chain is not None:
                    with self._last_with_lines() as file:
                        self._chain.open(self._lock, file)
        except OSError as error:
            self.close()
            raise type(error)(
                error.errno,
                f"cannot write the audit file ({error.strerror}): "
                "correct `path` in [plugin.audit-json], or its permissions",
                str(self._path),
            ) from error

    def close(self) -> None:
        """Release everything; idempotent."""
        try:
            if self._chain is not None and self._file != _CLOSED:
                self.sign()
        finally:
            self._file = _close(self._file)
            self._lock = _close(self._lock)

    def write(self, lines: Sequence[bytes]) -> None:
        """Append the lines, all of them or, if there is an error, as few as possible.

        Raises
        ------
        OSError
            They could not all be written; the file ends with a whole line.
        """
        with self._hold_lock():
            size = self._follow()
            if self._chain is not None and lines:
                with self._last_with_lines() as file:
                    lines = self._chain.link(lines, self._lock, file)
            for block in self._blocks(lines, size):
                self._append(block)
            if self._fsync:
                os.fsync(self._file)
            if self._chain is not None and lines:
                self._chain.advance(self._lock, self._file)

    def sign(self) -> None:
        """Sign the chain, if it has grown since it was signed.

        Raises
        ------
        OSError
            The checkpoint could not be written.
        """
        if self._chain is not None:
            with self._hold_lock():
                self._follow()
                with self._last_with_lines() as file:
                    self._chain.sign(self._lock, file)

    @contextmanager
    def _hold_lock(self) -> Iterator[None]:
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _follow(self) -> int:
        """Have the file open that is at the path; return its size."""
        # Another process may have set the file aside since this one last held the lock.
        try:
            is_current = self._file != _CLOSED and os.path.samestat(
                os.fstat(self._file), self._path.stat()
            )
        except FileNotFoundError:
            is_current = False
        if not is_current:
            self._reopen()
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            self._append(b"\n")  # who wrote last was killed amid a line
            size += 1
        return size

    def _reopen(self) -> None:
        file = os.open(self._path, _APPEND, FILE_MODE)
        _close(self._file)
        self._file = file
        if self._fsync and not os.fstat(file).st_size:
            sync_directory(self._path.parent)

    @contextmanager
    def _last_with_lines(self) -> Iterator[int]:
        """Open the file that ends the chain, while the current one has no lines yet."""
        # Who was killed after it had set a file aside has not told where the chain ends in it.
        kept = [] if os.fstat(self._file).st_size else list_backups(self._path)
        if not kept:
            yield self._file
            return
        file = os.open(kept[-1], os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield file
        finally:
            os.close(file)

    def _blocks(self, lines: Sequence[bytes], size: int) -> Iterator[bytes]:
        """Join lines that fit; set the file aside before those that do not."""
        block = bytearray()
        for line in lines:
            used = size + len(block)
            if self._max_bytes and used and used + len(line) > self._max_bytes:
                yield bytes(block)
                self._rotate()
                block.clear()
                size = 0
            block += line
        yield bytes(block)

    def _append(self, block: bytes) -> None:
        start = os.fstat(self._file).st_size
        rest = memoryview(block)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError:
            # Half a line, as of a full disk, would swallow the next one.
            os.ftruncate(self._file, start)
            raise

    def _rotate(self) -> None:
        if self._fsync:
            os.fsync(self._file)
        # Numbers only grow, so nothing is renamed but the file itself: a crash in between leaves
        # either name, and no line is lost.
        kept = backup_numbers(self._path)
        number = kept[-1] + 1 if kept else 1
        self._path.rename(self._backup(number))
        self._reopen()
        if not self._backups:
            return
        old, kept = [*kept, number][: -self._backups], [*kept, number][-self._backups :]
        if old and self._chain is not None:
            self._chain.let_go_before(self._backup(kept[0]), self._lock)
        for each in old:
            self._backup(each).unlink(missing_ok=True)

    def _backup(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def backup_numbers(path: Path) -> list[int]:
    """Return the numbers of the files that were set aside from a path, ascending."""
    prefix = path.name + "."
    try:
        names = os.listdir(path.parent)
    except FileNotFoundError:
        return []
    suffixes = (name.removeprefix(prefix) for name in names if name.startswith(prefix))
    return sorted(int(suffix) for suffix in suffixes if _NUMBER.fullmatch(suffix))


def list_backups(path: Path) -> list[Path]:
    """Return the files that were set aside from a path, the oldest first."""
    return [path.with_name(f"{path.name}.{number}") for number in backup_numbers(path)]


def _close(file: int) -> int:
    if file != _CLOSED:
        os.close(file)
    return _CLOSED
