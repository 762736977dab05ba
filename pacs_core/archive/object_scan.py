"""Objects of a store, read some at a time, and what can be wrong with them."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TypeVar

import anyio
from attrs import evolve

from pacs_core.archive.corrections import CORRECTED_TAGS, Corrections
from pacs_core.archive.fixity import Fixity, digest_of
from pacs_core.archive.incoming_instance import IDENTITY_TAGS, identity_in, scan_steadily
from pacs_core.archive.objects import origin_in, read_meta
from pacs_core.archive.settings import CharacterSetOf, no_character_set
from pacs_core.contracts import (
    Difference,
    DifferenceKind,
    InstanceRecord,
    InvalidInstanceError,
    ObjectNotFoundError,
    ObjectReader,
    ObjectStore,
    StoredInstance,
    StoredObject,
)
from pacs_core.dataset import HeaderScanner, MalformedDataset

# Theory of operation
#
# Commands and checks that go over a whole store share how they do it. Objects are listed by the
# store, in whatever order it has, and looked at in batches of `AT_ONCE`: concurrently within the
# batch, since what takes time is waiting for the medium, and one batch after the other, so that
# memory stays the same for a million objects.
#
# Of an object only the header is read: the file meta information, then blocks of the dataset until
# all that is wanted was found. Long values after that are not read but passed over, by the length
# in their header; the last byte of each is read all the same. So a truncated object is found
# without reading the pixels of any.
#
# Whatever is wrong with an object is data here, a `Difference`, and no exception: one bad object
# must not end the look at a million others.

AT_ONCE = 16
"""Objects that are read at the same time."""

_BLOCK = 64 * 1024

InT = TypeVar("InT")
OutT = TypeVar("OutT")


def describe_set_aside(other: StoredInstance, served: StoredInstance) -> Difference:
    """Return what there is to say of an object of an instance that is served from another."""
    uid = other.identity.sop_instance_uid
    return Difference(DifferenceKind.SET_ASIDE, other.key, uid, f"{served.key} is served")


async def read_record(
    store: ObjectStore,
    stored: StoredObject,
    wanted: frozenset[int],
    character_set_of: CharacterSetOf = no_character_set,
    corrections: Corrections | None = None,
    *,
    to_end: bool = True,
) -> InstanceRecord:
    """Read the record of an object: file meta information, header, and that it ends well.

    That it ends well is not looked at without `to_end`.

    Its digest is the one that the object has of itself; nothing, if it has none; its origin what
    the file meta information has of that: AE titles. With `corrections`
    it is the record of what these make of it.

    Raises
    ------
    InvalidInstanceError
        The object is not a valid instance.
    ObjectNotFoundError
        It has gone since.
    """
    async with await store.open(stored.key) as reader:
        meta = await read_meta(reader)
        if not meta.transfer_syntax_uid:
            raise InvalidInstanceError("file meta information has no Transfer Syntax UID")
        scanner = HeaderScanner(
            meta.transfer_syntax_uid,
            wanted | IDENTITY_TAGS | CORRECTED_TAGS,
            thorough=to_end,
            default_character_set=character_set_of(meta.sending_ae_title),
        )
        try:
            await _scan(reader, meta.dataset_offset, scanner, to_end)
        except MalformedDataset as error:
            raise InvalidInstanceError(str(error)) from error
        size = reader.size
    identity = identity_in(scanner.attributes)
    if meta.sop_instance_uid != identity.sop_instance_uid:
        raise InvalidInstanceError(
            f"file meta information says SOP Instance UID {meta.sop_instance_uid[:80]!r}, "
            f"the dataset {identity.sop_instance_uid}"
        )
    attributes = {tag: values for tag, values in scanner.attributes.items() if tag in wanted}
    instance = StoredInstance(
        identity,
        meta.transfer_syntax_uid,
        stored.key,
        size,
        meta.dataset_offset,
        Fixity.read(meta).digest,
        origin=origin_in(meta),
    )
    if corrections is not None:
        corrected = corrections.apply(identity, scanner.attributes)
        return corrected.record(InstanceRecord(instance, attributes), wanted)
    return InstanceRecord(instance, attributes)


async def with_digest(store: ObjectStore, record: InstanceRecord) -> InstanceRecord:
    """Return a record with the digest of what the object has now."""
    instance = record.instance
    async with await store.open(instance.key) as reader:
        digest = await digest_of(reader, instance.dataset_offset)
    return evolve(record, instance=evolve(instance, digest=digest))


async def is_torn(store: ObjectStore, key: str) -> bool:
    """Tell whether there is an object, but not all of it, or not an instance."""
    try:
        await read_record(store, StoredObject(key, 0), frozenset())
    except InvalidInstanceError:
        return True
    except (ObjectNotFoundError, OSError):
        pass
    return False


async def _scan(reader: ObjectReader, offset: int, scanner: HeaderScanner, to_end: bool) -> None:
    """Scan a dataset to its end, so that a truncated one is found, but read no long values."""
    while offset < reader.size and (block := await reader.read(offset, _BLOCK)):
        await scan_steadily(scanner, block)
        offset += len(block)
        if scanner.done and not to_end:
            return
        # Not read: only the scanner knows that what comes is the value of a long element.
        offset += scanner.pass_over(reader.size - offset)
    scanner.finish()


async def try_record(
    store: ObjectStore,
    stored: StoredObject,
    wanted: frozenset[int],
    character_set_of: CharacterSetOf,
    corrections: Corrections | None = None,
) -> InstanceRecord | Difference | None:
    """Read a record, or say why it cannot be read; None if the object has gone."""
    try:
        return await read_record(store, stored, wanted, character_set_of, corrections)
    except ObjectNotFoundError:
        return None
    except (InvalidInstanceError, OSError) as error:
        return Difference(DifferenceKind.UNREADABLE, stored.key, detail=str(error))


async def map_concurrently(
    function: Callable[[InT], Awaitable[OutT]], items: AsyncIterator[InT]
) -> AsyncGenerator[OutT, None]:
    """Apply a function to items, some at a time; yields in no task group of its own."""
    batch: list[InT] = []
    try:
        async for item in items:
            batch.append(item)
            # A task group of its own for each batch, ended before anything is yielded: a generator
            # that yields from within one would leak its cancellation to whoever iterates (PEP 789).
            if len(batch) == AT_ONCE:
                for result in await _gather(function, batch):
                    yield result
                batch = []
        for result in await _gather(function, batch):
            yield result
    finally:
        if isinstance(items, AsyncGenerator):
            await items.aclose()


async def _gather(function: Callable[[InT], Awaitable[OutT]], batch: list[InT]) -> list[OutT]:
    results: list[OutT] = []

    async def call(item: InT) -> None:
        results.append(await function(item))

    async with anyio.create_task_group() as group:
        for item in batch:
            group.start_soon(call, item)
    return results
