"""Verified copies of objects from one store to another that makes the same keys."""

from collections.abc import Awaitable, Callable

from attrs import frozen
from xxhash import xxh3_128

from pacs_core.contracts import (
    Availability,
    DamagedObjectError,
    ObjectNotFoundError,
    ObjectStore,
    StoredInstance,
)

Pace = Callable[[int], Awaitable[None]]
"""Waited for with the size of each chunk that was read."""


async def _at_once(_size: int) -> None:
    """Wait for nothing."""


@frozen
class _Content:
    """What was read of an object: its size, and the digest of all of it."""

    size: int
    digest: bytes


async def copy_verified(
    key: str,
    source: ObjectStore,
    target: ObjectStore,
    *,
    expected: StoredInstance | None = None,
    pace: Pace = _at_once,
) -> int:
    """Copy an object, and read back what the target has; return its size.

    When this returns the target has the same bytes, durably. One that is there already, such as
    from a copy that was cut short afterwards, is read and compared, not written again.

    Parameters
    ----------
    key : str
    source, target : ObjectStore
    expected : StoredInstance, optional
        What the source should have: a copy of what is damaged is none.
    pace : callable

    Raises
    ------
    ObjectNotFoundError
        The source has none.
    ObjectExistsError
        Somebody else has written to the target meanwhile.
    DamagedObjectError
        The source has not what was stored, or the target something else: what was written is
        taken back, what was there before stays, and the source is left alone.
    """
    made = (await target.availability([key]))[0] is Availability.UNAVAILABLE
    if made:
        async with target.writer_at(key) as writer:
            read = await _read(source, key, expected, pace, writer.write)
            await writer.commit()
    else:
        read = await _read(source, key, expected, pace)
    # An earlier copy may have been stored by somebody who did not wait for the disk.
    await target.flush([key])
    await target.deposit([key])
    try:
        written = await _read(target, key, None, pace)
    except ObjectNotFoundError:
        written = None
    if written != read:
        if made and written is not None:
            await target.delete(key)
        reason = "reads back otherwise than it was written" if made else "has other bytes under it"
        raise DamagedObjectError(f"object {key} is not copied: the target {reason}")
    return read.size


async def _read(
    store: ObjectStore,
    key: str,
    expected: StoredInstance | None,
    pace: Pace,
    write: Callable[[list[bytes | memoryview]], Awaitable[None]] | None = None,
) -> _Content:
    size, whole, dataset = 0, xxh3_128(), xxh3_128()
    offset = expected.dataset_offset if expected else 0
    async with await store.open(key) as reader:
        async for chunk in reader.chunks():
            whole.update(chunk)
            if expected is not None:
                dataset.update(memoryview(chunk)[max(offset - size, 0) :])
            size += len(chunk)
            if write is not None:
                await write([chunk])
            await pace(len(chunk))
    if expected is not None and (
        size != expected.size or expected.digest not in (b"", dataset.digest())
    ):
        raise DamagedObjectError(f"object {key} is damaged: its bytes are not those stored")
    return _Content(size, whole.digest())
