"""An object store that keeps each object as a file, all in one directory."""

import os
import re
from collections.abc import AsyncIterator, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final
from uuid import uuid4

from anyio import CancelScope, to_thread
from pacs_core.contracts import (
    InstanceIdentity,
    ObjectNotFoundError,
    ObjectReader,
    ObjectStore,
    ObjectWriter,
    StoredObject,
)

from {{ cookiecutter.__package }} import files

_BUFFER: Final = 1 << 20
_BATCH: Final = 1000
_KEY: Final = re.compile(r"[0-9.]{1,64}(\+[0-9A-Za-z]{1,64})?\.dcm", re.ASCII)
_NONE: Final = re.compile("")
_VARIANT: Final = re.compile(r"[0-9A-Za-z]{0,64}", re.ASCII)


class FileWriter(ObjectWriter):
    """An object on its way into a directory.

    Parameters
    ----------
    draft : Path
        Where it is written; nothing is there yet.
    directory : Path
        Where it goes.
    stem : str
        What its key begins with.
    copy : bool
        Whether that is all of the key, and there are no variants.
    """

    def __init__(self, draft: Path, directory: Path, stem: str, *, copy: bool = False) -> None:
        self._draft = draft
        self._directory = directory
        self._stem = stem
        self._variant = _NONE if copy else _VARIANT
        self._held: list[bytes | memoryview] = []
        self._size = 0

    async def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        """See base."""
        self._held += chunks
        self._size += sum(map(len, chunks))
        if self._size >= _BUFFER:
            await self._spill()

    async def _spill(self) -> None:
        await to_thread.run_sync(files.append, self._draft, self._held)
        self._held, self._size = [], 0

    def key(self, variant: str = "") -> str:
        """See base."""
        if not self._variant.fullmatch(variant):
            raise ValueError(f"a variant has at most 64 letters and digits, not {variant!r}")
        return f"{self._stem}+{variant}.dcm" if variant else f"{self._stem}.dcm"

    async def commit(self, variant: str = "", *, beginning: bytes = b"") -> StoredObject:
        """See base."""
        path = self._directory / self.key(variant)
        await self._spill()
        return await to_thread.run_sync(files.publish, self._draft, path, beginning)

    async def abort(self) -> None:
        """See base."""
        with CancelScope(shield=True):
            await to_thread.run_sync(lambda: self._draft.unlink(missing_ok=True))


class FileReader(ObjectReader):
    """An open file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = os.fstat(file.fileno()).st_size

    async def read(self, offset: int, length: int) -> bytes:
        """See base."""
        length = max(0, min(length, self.size - offset))
        return await to_thread.run_sync(os.pread, self._file.fileno(), length, offset)

    async def close(self) -> None:
        """See base."""
        self._file.close()


class DirectoryStore(ObjectStore):
    """Keeps objects in ``objects``, and what is being written in ``drafts``.

    Every object is durable when it is committed, whether that was asked for or not.

    Parameters
    ----------
    directory : Path
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._objects = directory / "objects"
        self._drafts = directory / "drafts"

    async def start(self) -> None:
        """Make the directories, and remove what a crash has left half-written."""
        await to_thread.run_sync(self._prepare)

    def _prepare(self) -> None:
        for directory in (self._objects, self._drafts):
            directory.mkdir(parents=True, exist_ok=True)
        for draft in self._drafts.iterdir():
            draft.unlink()
        files.sync_directory(self._objects.parent)

    def writer(self, identity: InstanceIdentity, *, durable: bool = True) -> FileWriter:
        """See base."""
        return FileWriter(self._drafts / uuid4().hex, self._objects, identity.sop_instance_uid)

    def writer_at(self, key: str, *, durable: bool = True) -> FileWriter:
        """See base."""
        if not _KEY.fullmatch(key):
            raise ValueError(f"not a key of this store: {key[:150]!r}")
        draft, stem = self._drafts / uuid4().hex, key.removesuffix(".dcm")
        return FileWriter(draft, self._objects, stem, copy=True)

    async def open(self, key: str) -> FileReader:
        """See base."""
        path = self._path(key)
        try:
            return FileReader(await to_thread.run_sync(path.open, "rb"))
        except FileNotFoundError:
            raise ObjectNotFoundError(f"there is no object {key!r}") from None

    async def delete(self, key: str) -> None:
        """See base."""
        try:
            await to_thread.run_sync(self._path(key).unlink)
        except FileNotFoundError:
            raise ObjectNotFoundError(f"there is no object {key!r}") from None

    async def objects(self) -> AsyncIterator[StoredObject]:
        """See base."""
        found = files.listing(self._objects)
        try:
            while batch := await to_thread.run_sync(lambda: list(islice(found, _BATCH))):
                for stored in batch:
                    yield stored
        finally:
            found.close()

    def _path(self, key: str) -> Path:
        """Return where an object lies; a key that no writer makes names nothing."""
        if not _KEY.fullmatch(key):
            raise ObjectNotFoundError(f"not a key of this store: {key[:150]!r}")
        return self._objects / key
