"""One object being written, as blocking code; runs in worker threads."""

import os
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Final

from attrs import define, field

from pacs_core.contracts import ObjectExistsError, StoredObject
from pacs_store_filesystem.directories import Directories, Directory
from pacs_store_filesystem.errors import RoomExpected
from pacs_store_filesystem.listing import describe
from pacs_store_filesystem.staging import Stage, StagedFile

MAX_CHUNKS: Final = min(1024, os.sysconf("SC_IOV_MAX"))
"""How many chunks one writev takes."""


@define(eq=False)
class Draft:
    """An object between its first byte and its name.

    After any error but :class:`ObjectExistsError` the draft is closed and nothing of it left.

    Attributes
    ----------
    root : Path
        Of the store; for messages.
    directories : Directories
    stage : callable
        Begins a file.
    durable : bool
    pending : list of bytes-like
        What is not in the file yet.
    """

    root: Path
    directories: Directories
    stage: Stage
    durable: bool
    pending: list[bytes | memoryview] = field(factory=list)
    closed: bool = False
    _file: StagedFile | None = None
    _size: int = 0
    # A thread outlives the await that started it if asyncio itself cancels the task.
    _lock: Lock = field(factory=Lock)

    def flush(self, key: str) -> None:
        """Write what is pending of the object that will have this key."""
        with self._lock, RoomExpected(self.root, key):
            self._check_open()
            try:
                self._write(key)
            except BaseException:
                self._discard(key)
                raise

    def commit(self, key: str, beginning: bytes = b"") -> StoredObject:
        """Publish the object, after its beginning was written over.

        Raises
        ------
        ObjectExistsError
            The key is taken.
        ValueError
            The beginning is longer than the object.
        """
        with self._lock, RoomExpected(self.root, key):
            self._check_open()
            try:
                stored = self._publish(key, beginning)
            except ObjectExistsError:
                raise
            except BaseException:
                self._discard(key)
                raise
            self._close()
        return stored

    def discard(self, key: str) -> None:
        """Forget everything; idempotent, and harmless after a commit."""
        with self._lock:
            if not self.closed:
                self._discard(key)

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("this object was committed or aborted, or could not be written")

    def _write(self, key: str) -> StagedFile:
        if self._file is None:
            stage = partial(self.directories.near, _parent(key), self.stage)
            self._file = self.directories.with_handles(stage)
        for start in range(0, len(self.pending), MAX_CHUNKS):
            self._size += _write_all(self._file.fd, self.pending[start : start + MAX_CHUNKS])
        self.pending.clear()
        return self._file

    def _publish(self, key: str, beginning: bytes) -> StoredObject:
        if beginning and not self._size and self.pending and len(self.pending[0]) == len(beginning):
            # Nothing is in the file yet: this saves a write.
            self.pending[0], beginning = beginning, b""
        file = self._write(key)
        if len(beginning) > self._size:
            raise ValueError(f"a beginning of {len(beginning)} bytes in {self._size} bytes")
        position = 0
        while position < len(beginning):  # the system may take only a part
            position += os.pwrite(file.fd, beginning[position:], position)
        if self.durable:
            os.fsync(file.fd)
        link = partial(self.directories.within, _parent(key), partial(self._link, file, key))
        directory = self.directories.with_handles(link)
        if self.durable:
            self._settle(directory, _name(key))
        return describe(key, os.fstat(file.fd))

    def _taken(self, directory: Directory, key: str) -> None:
        # Whoever relies on the object that is there may take it for durable, though its
        # writer may not have come that far.
        if self.durable:
            directory.settle()
        raise ObjectExistsError(key)

    def _link(self, file: StagedFile, key: str, directory: Directory) -> Directory:
        try:
            file.link(directory, _name(key))
        except FileExistsError:
            self._taken(directory, key)
        return directory

    def _settle(self, directory: Directory, name: str) -> None:
        try:
            directory.settle()
        except OSError:
            with suppress(OSError):
                os.unlink(name, dir_fd=directory.fd)
            raise

    def _discard(self, key: str) -> None:
        self._close()
        self.directories.prune(_parent(key))

    def _close(self) -> None:
        self.closed = True
        self.pending.clear()
        if self._file is not None:
            self._file.discard()
            self._file = None


def _parent(key: str) -> str:
    return key.rpartition("/")[0]


def _name(key: str) -> str:
    return key.rpartition("/")[2]


def _write_all(fd: int, chunks: list[bytes | memoryview]) -> int:
    """Write the chunks, however often the system takes only a part; return their size."""
    total = 0
    while chunks:
        written = os.writev(fd, chunks)
        total += written
        chunks = _after(chunks, written)
    return total


def _after(chunks: list[bytes | memoryview], written: int) -> list[bytes | memoryview]:
    for number, chunk in enumerate(chunks):
        size = memoryview(chunk).nbytes
        if written < size:
            rest = memoryview(chunk).cast("B")[written:]
            return [rest, *chunks[number + 1 :]]
        written -= size
    return []
