"""Verified copies of objects: read back from where they went before they count."""

from collections.abc import Awaitable, Callable

from attrs import frozen

from pacs_core.archive.fixity import Digest
from pacs_core.archive.pacing import Pace, at_once
from pacs_core.contracts import (
    Availability,
    DamagedObjectError,
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectReader,
    ObjectStore,
    ObjectWriter,
    StoredObject,
)

# Theory of operation
#
# What is written is compared with what is read back, by a digest of all bytes; and what is read at
# first, with the digest that its dataset was stored with, because a good copy of what is damaged
# would be taken for the thing itself. Between the two stands whatever the target does to keep an
# object: it is flushed and deposited before it is read back, so that the answer comes from where it
# is to stay.
#
# Nothing is remembered. A copy that was cut short after its commit is found under its key, and
# compared instead of written.


class CopyDiffersError(DamagedObjectError):
    """The target has other bytes than the source."""


@frozen
class ExpectedContent:
    """What an object should have.

    Attributes
    ----------
    size : int
        Bytes.
    dataset_offset : int
        Where its dataset begins.
    digest : bytes
        Of its dataset, see :attr:`StoredInstance.digest`; empty if it is not known.
    """

    size: int
    dataset_offset: int = 0
    digest: bytes = b""


@frozen
class _Content:
    size: int
    digest: bytes


async def copy_verified(
    reader: ObjectReader,
    target: ObjectStore,
    writer: ObjectWriter,
    variant: str = "",
    *,
    expected: ExpectedContent | None = None,
    pace: Pace = at_once,
) -> StoredObject:
    """Copy an object to another store, and read back what that has.

    When this returns the target has the same bytes, durably. What is there already, from a copy
    that was cut short or was faster, is read and compared, not written again.

    Parameters
    ----------
    reader : ObjectReader
        Of the object; it stays open.
    target : ObjectStore
    writer : ObjectWriter
        A durable one of the target, not yet written to; whoever made it closes it.
    variant : str
        With which it commits.
    expected : ExpectedContent, optional
        What there should be to copy: a copy of what is damaged is none.
    pace : callable
        Waited for with the size of each chunk that was read, of the object and of the copy.

    Returns
    -------
    StoredObject
        The copy.

    Raises
    ------
    ObjectNotFoundError
        The object was deleted while it was read.
    DamagedObjectError
        There is not what was expected; nothing was written.
    CopyDiffersError
        The target has something else: what was written is taken back, and what was there before
        stays.
    StorageFullError
        The target has no room.
    """
    key = writer.key(variant)
    is_new = (await target.availability([key]))[0] is Availability.UNAVAILABLE
    content = await _read(reader, key, expected, pace, writer.write if is_new else None)
    if is_new:
        try:
            await writer.commit(variant)
        except ObjectExistsError:  # another copy was faster
            is_new = False
    if not is_new:
        # It may have been stored by somebody who did not wait for the disk.
        await target.flush([key])
    await target.deposit([key])
    try:
        async with await target.open(key) as copy:
            written = await _read(copy, key, None, pace)
    except ObjectNotFoundError:
        written = None
    if written != content:
        if is_new and written is not None:
            await target.delete(key)
        why = "reads back otherwise than it was written" if is_new else "has other bytes under it"
        raise CopyDiffersError(f"object {key} is not copied: the target {why}")
    return StoredObject(key, content.size)


async def verify_content(
    reader: ObjectReader, key: str, expected: ExpectedContent, *, pace: Pace = at_once
) -> None:
    """Read an object, and compare it with what it should have.

    Raises
    ------
    ObjectNotFoundError
        It was deleted while it was read.
    DamagedObjectError
        It has something else.
    """
    await _read(reader, key, expected, pace)


async def _read(
    reader: ObjectReader,
    key: str,
    expected: ExpectedContent | None,
    pace: Pace,
    write: Callable[[list[bytes | memoryview]], Awaitable[None]] | None = None,
) -> _Content:
    size, whole, dataset = 0, Digest(), Digest()
    offset = expected.dataset_offset if expected else 0
    async for chunk in reader.chunks():
        whole.update(chunk)
        if expected and expected.digest:
            dataset.update(memoryview(chunk)[max(offset - size, 0) :])
        size += len(chunk)
        if write is not None:
            await write([chunk])
        await pace(len(chunk))
    known = expected.size if expected else reader.size
    if size != known:
        raise DamagedObjectError(f"object {key} is damaged: it has {size} of {known} bytes")
    if expected and expected.digest not in (b"", dataset.digest()):
        raise DamagedObjectError(f"object {key} is damaged: its bytes are not those stored")
    return _Content(size, whole.digest())
