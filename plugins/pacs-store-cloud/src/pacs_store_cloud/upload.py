"""Upload of a draft: in one conditional request, or in parts and then to its name."""

import logging
from collections.abc import AsyncIterator
from typing import Final
from uuid import uuid4

from anyio import CancelScope, CapacityLimiter
from attrs import frozen

from pacs_core.api.threads import Threads
from pacs_core.contracts import StorageFullError
from pacs_store_cloud.attempts import MangledError, attempt
from pacs_store_cloud.bucket import Bucket, Found
from pacs_store_cloud.draft import Draft

_log = logging.getLogger(__name__)

# Theory of operation
#
# What fits into one part is put by one conditional request, see bucket.py.
#
# The library cannot complete an upload in parts on condition that the name is free. So a large
# object is uploaded in parts under a name that nobody else knows, and then copied to its own, on
# condition. The copy happens within the service: on S3 it is an upload of one part that is itself a
# copy, and completed with If-None-Match: *. What a crash leaves under such names is removed
# when it is a day old; what it leaves of parts, a rule of the bucket must remove.

LARGEST_COPY: Final = 5 * 1024**3
"""Bytes that services copy in one request."""
_CONCURRENCY: Final = 3


@frozen
class Uploads:
    """Uploads drafts into a bucket.

    Attributes
    ----------
    bucket : Bucket
    threads : Threads
    incoming : str
        The directory of large objects on their way.
    part_size : int
    large : CapacityLimiter
        Bounds how many large ones are uploaded at once, and so the memory for their parts.
    """

    bucket: Bucket
    threads: Threads
    incoming: str
    part_size: int
    large: CapacityLimiter

    async def upload(self, draft: Draft, name: str) -> Found:
        """Store a draft under a name.

        Raises
        ------
        AlreadyExistsError
            Of the library: the name is taken.
        StorageFullError
            It is larger than the service takes, or could not be stored in time.
        """
        digest = await self.threads.run(draft.digest)
        if draft.size <= self.part_size:
            content = await self.threads.run(draft.read, 0, draft.size)
            return await self.bucket.put_new(name, content, digest)
        if draft.size > LARGEST_COPY:
            raise StorageFullError(
                f"{draft.size} bytes: {self.bucket.title} takes objects of {LARGEST_COPY} at most"
            )
        async with self.large:
            await self._refuse_taken(name)
            return await self._upload_large(draft, digest, name)

    async def _refuse_taken(self, name: str) -> None:
        """Look first whether the name is taken: that spares sending all of it for nothing."""
        from obstore.exceptions import AlreadyExistsError

        try:
            await self.bucket.head(name)
        except FileNotFoundError:
            return
        raise AlreadyExistsError(name)

    async def _upload_large(self, draft: Draft, digest: str, name: str) -> Found:
        incoming = f"{self.incoming}/{uuid4().hex}"
        bucket = self.bucket
        parts = -(-draft.size // self.part_size)

        async def send() -> None:
            await bucket.clients.patient.put_async(
                incoming,
                self._parts(draft),
                use_multipart=True,
                chunk_size=self.part_size,
                max_concurrency=_CONCURRENCY,
            )
            if (await bucket.head_once(incoming)).size != draft.size:
                raise MangledError(f"{name} arrived with another size")

        try:
            await attempt(f"{bucket.title}: storing {name} in parts", send, bucket.deadline * parts)
            if bucket.read_back and not await bucket.has_same(incoming, digest, draft.size):
                raise StorageFullError(f"{bucket.title}: {name} arrived damaged")
            await self._publish(incoming, name, digest, draft.size)
            found = await bucket.head(name)
        finally:
            await bucket.discard(incoming)
        return found

    async def _publish(self, incoming: str, name: str, digest: str, size: int) -> None:
        from obstore.exceptions import AlreadyExistsError

        uncertain = False

        async def copy() -> None:
            nonlocal uncertain
            try:
                with CancelScope(shield=True):  # as with what is put at once
                    await self.bucket.clients.plain.copy_async(incoming, name, overwrite=False)
            except AlreadyExistsError:
                # An attempt whose answer was lost may have been the one that took it; and a
                # service may say the same of a name that others try to take at this time.
                try:
                    await self.bucket.head_once(name)
                    ours = uncertain and await self.bucket.has_same(name, digest, size)
                except FileNotFoundError:
                    raise MangledError(f"{name} is not taken yet") from None
                if not ours:
                    raise
            except Exception:
                uncertain = True
                raise

        await attempt(f"{self.bucket.title}: naming {name}", copy, self.bucket.deadline)

    async def _parts(self, draft: Draft) -> AsyncIterator[bytes]:
        for offset in range(0, draft.size, self.part_size):
            yield await self.threads.run(draft.read, offset, self.part_size)
