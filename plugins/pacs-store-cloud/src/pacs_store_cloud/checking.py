"""Checks at start: what is wrong with a bucket is said before anything depends on it."""

import logging
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast
from uuid import uuid4

from pacs_store_cloud.attempts import attempt
from pacs_store_cloud.bucket import Bucket, md5_of
from pacs_store_cloud.errors import BucketError, MisconfiguredError

_log = logging.getLogger(__name__)

_CONTENT: Final = b"probe"
_LEFTOVER: Final = timedelta(days=1)
"""Age after which an object on its way belongs to nobody."""


async def check_bucket(bucket: Bucket, probes: str) -> None:
    """List, store, refuse, copy, refuse, read and delete an object.

    Parameters
    ----------
    bucket : Bucket
    probes : str
        Directory for it.

    Raises
    ------
    MisconfiguredError
        Something is wrong; says what to do.
    BucketError
        The bucket did not answer in time.
    """
    async with aclosing(cast(Any, bucket.list(probes))) as listing:
        async for _ in listing:
            break
    name = f"{probes}/{uuid4().hex}"
    await _store(bucket, name)
    try:
        for attempt_again in (_store_again, _copy_again):
            await _check_refusal(bucket, name, attempt_again)
    finally:
        await bucket.discard(name)
    await _check_deletion(bucket, name)


async def _store(bucket: Bucket, name: str) -> None:
    """Store an object, and learn from it what ETags are."""
    found = await bucket.put_new(name, _CONTENT)
    _, content = await bucket.get(name, 0, len(_CONTENT))
    if content != _CONTENT:
        await bucket.discard(name)
        raise BucketError(f"{bucket.title}: what is read is not what was stored")
    bucket.tags_are_md5 = found.identity == md5_of(content)


async def _store_again(bucket: Bucket, name: str) -> None:
    await bucket.clients.plain.put_async(name, b"again", mode="create", use_multipart=False)


async def _copy_again(bucket: Bucket, name: str) -> None:
    await bucket.clients.plain.copy_async(name, name, overwrite=False)


async def _check_refusal(bucket: Bucket, name: str, action: Any) -> None:
    from obstore.exceptions import AlreadyExistsError, NotModifiedError

    try:
        await attempt(
            f"{bucket.title}: trying it out", lambda: action(bucket, name), bucket.deadline
        )
    except AlreadyExistsError:
        return
    except NotModifiedError:
        pass  # 304 is no answer to a request that writes (RFC 9110 §13.2.2)
    raise MisconfiguredError(
        f"{bucket.title}: the service does not know conditional requests (If-None-Match: *), by "
        "which objects are kept from being overwritten: update it, or take another one"
    )


async def _check_deletion(bucket: Bucket, name: str) -> None:
    try:
        await bucket.delete(name)
    except FileNotFoundError:
        return


async def remove_leftovers(bucket: Bucket, incoming: str) -> None:
    """Remove what crashes have left of large objects on their way."""
    count = 0
    before = datetime.now(UTC) - _LEFTOVER
    stream = bucket.clients.patient.list(incoming)
    async for page in stream:
        for meta in page:
            if meta["last_modified"] < before:
                await bucket.discard(meta["path"])
                count += 1
    if count:
        _log.info("%s: removed %d objects that crashes had left on their way", bucket.title, count)
