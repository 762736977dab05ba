"""The writer: keeps an object until it is committed, and uploads it then."""

from collections.abc import Callable, Sequence

from anyio import CancelScope
from anyio.lowlevel import checkpoint

from pacs_core.api.threads import Threads
from pacs_core.contracts import ObjectExistsError, ObjectWriter, StoredObject
from pacs_store_cloud.bucket import Found
from pacs_store_cloud.draft import IN_MEMORY, Draft
from pacs_store_cloud.upload import Uploads


class CloudWriter(ObjectWriter):
    """Writes one object. The bucket sees nothing of it before the commit.

    Parameters
    ----------
    draft : Draft
    threads : Threads
    uploads : Uploads
    key : callable
        Returns the key for a variant.
    name : callable
        Returns the name of a key in the bucket.
    stored : callable
        Told of what was stored.
    """

    def __init__(
        self,
        draft: Draft,
        threads: Threads,
        uploads: Uploads,
        key: Callable[[str], str],
        name: Callable[[str], str],
        stored: Callable[[Found], None],
    ) -> None:
        self._draft = draft
        self._threads = threads
        self._uploads = uploads
        self._make_key = key
        self._name = name
        self._stored = stored
        self._plain_key = key("")
        self._closed = False

    async def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        """See base."""
        self._check_open()
        size = sum(memoryview(chunk).nbytes for chunk in chunks)
        if self._draft.size + size <= IN_MEMORY:
            self._draft.write(chunks)
            return
        await self._threads.run(self._draft.write, chunks)

    def key(self, variant: str = "") -> str:
        """See base."""
        return self._make_key(variant) if variant else self._plain_key

    async def commit(self, variant: str = "", *, beginning: bytes = b"") -> StoredObject:
        """See base."""
        from obstore.exceptions import AlreadyExistsError

        self._check_open()
        key = self.key(variant)
        await checkpoint()
        try:
            self._draft.begin_with(beginning)
            found = await self._uploads.upload(self._draft, self._name(key))
        except AlreadyExistsError:
            raise ObjectExistsError(key) from None
        except BaseException:
            await self.abort()
            raise
        self._stored(found)
        await self.abort()
        return StoredObject(key, found.size, found.identity)

    async def abort(self) -> None:
        """See base."""
        if not self._closed:
            self._closed = True
            with CancelScope(shield=True):
                await self._threads.run(self._draft.close)

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError("this object was committed or aborted, or could not be written")
