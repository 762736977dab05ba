"""The store: its life, and what it does by key."""

import os
import stat
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path

from anyio import CancelScope
from anyio.lowlevel import checkpoint

from pacs_core.api.threads import Threads
from pacs_core.contracts import (
    InstanceIdentity,
    ObjectNotFoundError,
    ObjectReader,
    ObjectStore,
    ObjectWriter,
    StoredObject,
    with_beginning,
)
from pacs_store_filesystem.cached import OpenFile
from pacs_store_filesystem.directories import Directories
from pacs_store_filesystem.draft import Draft
from pacs_store_filesystem.flushing import Flush
from pacs_store_filesystem.layout import DEFAULT_LAYOUT, KeyLayout
from pacs_store_filesystem.listing import batch, list_variants, walk
from pacs_store_filesystem.opening import Opened, open_root
from pacs_store_filesystem.reader import FilesystemReader, open_object, read_object
from pacs_store_filesystem.writer import FilesystemWriter


class FilesystemStore(ObjectStore):
    """One file per object in a directory tree; keys are relative POSIX paths.

    Parameters
    ----------
    root : Path
        Made if it is missing.
    layout : str
        See :class:`~pacs_store_filesystem.layout.KeyLayout`.
    threads : int
        How many threads may do input and output at once.
    nameless : bool
        Whether to stage objects in nameless files (O_TMPFILE) where the system can.
    """

    shared = True
    gains_by_journal = True

    def __init__(
        self,
        root: Path,
        layout: str = DEFAULT_LAYOUT,
        *,
        threads: int = 16,
        nameless: bool = True,
    ) -> None:
        self._root = self.directory = root
        self._layout = KeyLayout.parse(layout)
        self._threads = Threads(threads, "object-store")
        self._nameless = nameless
        self._opened: Opened | None = None
        self._flush: Flush | None = None

    async def start(self) -> None:
        """Make the root, try it out, and remove what a crash has left.

        Raises
        ------
        OSError
            The root cannot be used; says why, and what to do.
        """
        self._root = self._root.absolute()
        self._opened = await self._threads.run(
            partial(open_root, self._root, nameless=self._nameless)
        )
        self._flush = Flush(self._root, self._opened.directories, self._threads)

    async def stop(self) -> None:
        """Let go of the root."""
        opened, self._opened = self._opened, None
        self._flush = None
        if opened is not None:
            opened.directories.forget_all()
        self._threads.close()

    def writer(self, identity: InstanceIdentity, *, durable: bool = True) -> ObjectWriter:
        """See base. ValueError if a UID is not valid."""
        return self._writer(partial(self._layout.key, identity), durable)

    def writer_at(self, key: str, *, durable: bool = True) -> ObjectWriter:
        """See base."""
        if not self._layout.could_make(key):
            raise ValueError(f"{key[:200]!r} is no key of the layout {self._layout.template}")
        return self._writer(partial(_only_key, key), durable)

    def _writer(self, key: Callable[[str], str], durable: bool) -> ObjectWriter:
        opened = self._running()
        draft = Draft(self._root, opened.directories, opened.stage, durable)
        return FilesystemWriter(draft, self._threads, key)

    async def flush(self, keys: Sequence[str]) -> None:
        """See base."""
        self._running()
        if self._flush is not None and (known := [*filter(self._layout.could_make, keys)]):
            await self._flush.run(known)

    async def open(self, key: str) -> ObjectReader:
        """See base."""
        directories = self._directories_for(key)
        await checkpoint()
        if (file := self._running().cached.open(key)) is not None:
            return self._reader(file)
        action = partial(open_object, directories, key)
        return self._reader(await self._threads.run(directories.with_handles, action))

    async def open_and_read(self, key: str, offset: int, length: int) -> tuple[ObjectReader, bytes]:
        """See base; at most a single hop to a thread."""
        directories = self._directories_for(key)
        if (file := self._running().cached.open(key)) is not None:
            return await with_beginning(self._reader(file), offset, length)
        action = partial(read_object, directories, key, offset, length)
        file, data = await self._threads.run(directories.with_handles, action)
        return self._reader(file), data

    def _reader(self, file: OpenFile) -> FilesystemReader:
        return FilesystemReader(file, self._threads, self._running().cached)

    async def delete(self, key: str) -> None:
        """See base; the removal is durable when this returns."""
        await self._threads.run(_delete, self._directories_for(key), key)

    async def objects(self) -> AsyncIterator[StoredObject]:
        """See base."""
        self._running()
        objects = walk(self._root, self._layout)
        try:
            while found := await self._threads.run(batch, objects):
                for stored in found:
                    yield stored
        finally:
            with CancelScope(shield=True):
                await self._threads.run(objects.close)

    async def variants(self, key: str) -> Sequence[str]:
        """See base; reads one directory."""
        self._running()
        if not self._layout.could_make(key):
            return ()
        return await self._threads.run(list_variants, self._root, self._layout, key)

    def _running(self) -> Opened:
        if self._opened is None:
            raise RuntimeError("the object store was not started, or is stopped")
        return self._opened

    def _directories_for(self, key: str) -> Directories:
        if not self._layout.could_make(key):
            raise ObjectNotFoundError(key)
        return self._running().directories


def _only_key(key: str, variant: str) -> str:
    if variant:
        raise ValueError(f"variant {variant!r}: a copy has the key that it was begun with")
    return key


def _delete(directories: Directories, key: str) -> None:
    parent, _, name = key.rpartition("/")
    try:
        directory = directories.open(parent)
        status = os.stat(name, dir_fd=directory.fd, follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode):
            raise ObjectNotFoundError(key)
        os.unlink(name, dir_fd=directory.fd)
    except (FileNotFoundError, NotADirectoryError):
        raise ObjectNotFoundError(key) from None
    directory.sync()
    directories.prune(parent)
