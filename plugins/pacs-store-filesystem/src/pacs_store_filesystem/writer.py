"""The writer: gathers chunks, and hands them to a thread when there are many."""

from collections.abc import Callable, Sequence
from typing import Final

from anyio import CancelScope

from pacs_core.api.threads import Threads
from pacs_core.contracts import ObjectWriter, StoredObject
from pacs_store_filesystem.draft import MAX_CHUNKS, Draft

BUFFER_SIZE: Final = 1024 * 1024
"""Bytes that are gathered before they are written."""


class FilesystemWriter(ObjectWriter):
    """Writes one object; what fits into the buffer takes a single hop to a thread.

    If it need not be on disk, it takes none: the system copies what fits into the buffer into its
    memory in less time than the hop takes.

    Parameters
    ----------
    draft : Draft
    threads : Threads
    key : callable
        Returns the key for a variant.
    """

    def __init__(self, draft: Draft, threads: Threads, key: Callable[[str], str]) -> None:
        self._draft = draft
        self._threads = threads
        self._make_key = key
        self._plain_key = key("")
        self._gathered = 0
        self._touched = False

    async def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        """See base."""
        if self._draft.closed:
            raise ValueError("this object was committed or aborted, or could not be written")
        pending = self._draft.pending
        for chunk in chunks:
            size = memoryview(chunk).nbytes
            if size:
                pending.append(chunk)
                self._gathered += size
        # Many small chunks cost more memory than the bytes that are in them.
        if self._gathered >= BUFFER_SIZE or len(pending) >= MAX_CHUNKS:
            self._touched = True
            await self._threads.run(self._draft.flush, self._plain_key)
            self._gathered = 0

    def key(self, variant: str = "") -> str:
        """See base."""
        return self._make_key(variant) if variant else self._plain_key

    async def commit(self, variant: str = "", *, beginning: bytes = b"") -> StoredObject:
        """See base."""
        key = self.key(variant)
        if not (self._touched or self._draft.durable):
            return self._draft.commit(key, beginning)
        self._touched = True
        return await self._threads.run(self._draft.commit, key, beginning)

    async def abort(self) -> None:
        """See base."""
        if self._touched and not self._draft.closed:
            with CancelScope(shield=True):
                await self._threads.run(self._draft.discard, self._plain_key)
        self._draft.closed = True
        self._draft.pending.clear()
