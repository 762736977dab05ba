"""A cache of blocks on a local disk: whole small objects, and ranges of large ones."""

import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from hashlib import blake2b, sha256
from pathlib import Path
from secrets import token_hex
from typing import Final

from attrs import asdict, frozen

from pacs_core.api.files import try_lock
from pacs_core.api.threads import Threads
from pacs_store_cloud.bucket import Found

_log = logging.getLogger(__name__)

# Theory of operation
#
# A file holds one block of one object, with what the bucket had told of that (its ETag, above all),
# and a checksum. It is written under a name of its own and renamed, and nothing is fsynced: a file
# that a crash has left half is found out by its checksum, and is no more than a miss.
#
# The cache decides nothing. Who opens an object asks the bucket, in one request, for its first
# block unless it still has the ETag of the cached one; each later block counts only if it has that
# ETag, too. So an object that another node has replaced is never mixed with what it was.
#
# What was used least recently goes first. The time of use is the file's time of modification, which
# all processes share. Each process looks through the cache whenever it has written a twentieth of
# its capacity, and clears a tenth more than it must.

_MAGIC: Final = b"PACSBLK1"
_CHECKSUM: Final = 16
_LENGTH: Final = 4
_SLACK: Final = 20
_ROOM: Final = 0.9
_TOUCH: Final = 60.0
"""Seconds within which a use is not noted again."""
_ABANDONED: Final = 3600.0
"""Seconds after which nobody writes a file any more."""
_NEW: Final = ".new-"


@frozen
class CachedBlock:
    """A block, and what the bucket had told of its object."""

    found: Found
    data: bytes


class BlockCache:
    """Blocks in files; shared by all processes of a node.

    Parameters
    ----------
    directory : Path
    capacity : int
        Bytes, about.
    """

    def __init__(self, directory: Path, capacity: int) -> None:
        self._directory = directory
        self._capacity = capacity
        self._threads = Threads(4, "object-cache")
        self._written = 0
        self._failed = False

    async def start(self) -> None:
        """Make the directory, and clear what is too much in it."""
        await self._threads.run(self._prepare)

    def stop(self) -> None:
        """Let go of the threads."""
        self._threads.close()

    async def load(self, name: str, number: int) -> CachedBlock | None:
        """Return a block of an object, as it was at some time; None if it is not there."""
        return await self._threads.run(self._load, name, number)

    async def save(self, found: Found, number: int, data: bytes) -> None:
        """Keep a block; if that cannot be done, nothing happens."""
        await self._threads.run(self._save, found, number, data)

    async def forget(self, name: str) -> None:
        """Remove all blocks of an object."""
        await self._threads.run(self._forget, name)

    def _prepare(self) -> None:
        self._directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        self._sweep()

    def _folder(self, name: str) -> Path:
        digest = sha256(name.encode()).hexdigest()
        return self._directory / digest[:2] / digest[2:34]

    def _load(self, name: str, number: int) -> CachedBlock | None:
        path = self._folder(name) / str(number)
        try:
            raw = path.read_bytes()
            used = path.stat().st_mtime
        except OSError:
            return None
        block = _decode(raw)
        if block is None or block.found.name != name:
            _log.info("a block in %s is damaged: it is read from the bucket again", path)
            path.unlink(missing_ok=True)
            return None
        if time.time() - used > _TOUCH:
            with suppress(OSError):
                os.utime(path)
        return block

    def _save(self, found: Found, number: int, data: bytes) -> None:
        folder = self._folder(found.name)
        new = folder / f"{_NEW}{token_hex(8)}"
        raw = _encode(found, data)
        try:
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            new.write_bytes(raw)
            new.rename(folder / str(number))
        except OSError as error:
            with suppress(OSError):
                new.unlink(missing_ok=True)
            if not self._failed:
                _log.warning("the cache in %s cannot be written: %s", self._directory, error)
            self._failed = True
            return
        self._failed = False
        self._written += len(raw)
        if self._written * _SLACK > self._capacity:
            self._sweep()

    def _forget(self, name: str) -> None:
        folder = self._folder(name)
        with suppress(OSError):
            for path in list(folder.iterdir()):
                path.unlink(missing_ok=True)
            folder.rmdir()

    def _sweep(self) -> None:
        """Remove what was used least recently, if there is too much, unless another does."""
        self._written = 0
        lock = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            if try_lock(lock):
                self._clear()
        finally:
            os.close(lock)

    def _clear(self) -> None:
        files = sorted(self._files())
        total = sum(size for _, size, _ in files)
        most = self._capacity - self._capacity // _SLACK
        if total <= most:
            return
        for _, size, path in files:
            if total <= most * _ROOM:
                return
            with suppress(OSError):
                os.unlink(path)
                total -= size
                os.rmdir(os.path.dirname(path))

    def _files(self) -> Iterator[tuple[float, int, str]]:
        for folder, _, names in os.walk(self._directory):
            for name in names:
                path = os.path.join(folder, name)
                with suppress(OSError):
                    status = os.stat(path)
                    if not name.startswith(_NEW):
                        if name != "lock":
                            yield status.st_mtime, status.st_size, path
                    elif time.time() - status.st_mtime > _ABANDONED:
                        os.unlink(path)


def _encode(found: Found, data: bytes) -> bytes:
    header = json.dumps(asdict(found)).encode()
    body = _MAGIC + len(header).to_bytes(_LENGTH, "big") + header + data
    return body + blake2b(body, digest_size=_CHECKSUM).digest()


def _decode(raw: bytes) -> CachedBlock | None:
    body, checksum = memoryview(raw)[:-_CHECKSUM], raw[-_CHECKSUM:]
    start = len(_MAGIC) + _LENGTH
    if len(body) < start or blake2b(body, digest_size=_CHECKSUM).digest() != checksum:
        return None
    if not raw.startswith(_MAGIC):
        return None
    end = start + int.from_bytes(body[len(_MAGIC) : start], "big")
    return CachedBlock(Found(**json.loads(bytes(body[start:end]))), bytes(body[end:]))
