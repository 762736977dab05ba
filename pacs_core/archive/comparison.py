"""Comparison of two objects of one instance."""

from attrs import frozen

from pacs_core.archive.damage import object_damage
from pacs_core.archive.object_scan import read_record
from pacs_core.contracts import InvalidInstanceError, ObjectStore, StoredInstance, StoredObject
from pacs_core.dataset import Attributes


@frozen
class Comparison:
    """How an object differs from another.

    Attributes
    ----------
    damage, other_damage : str
        What is wrong with each, if anything.
    attributes, other_attributes : Attributes
        Those that differ.
    position : int or None
        Of the first byte of the datasets that differs; None if none does.
    """

    damage: str
    other_damage: str
    attributes: Attributes
    other_attributes: Attributes
    position: int | None


async def compare(
    store: ObjectStore, one: StoredInstance, other: StoredInstance, wanted: frozenset[int]
) -> Comparison:
    """Compare two objects.

    Raises
    ------
    ObjectNotFoundError
        One has gone.
    OSError
        One cannot be read.
    """
    here, there = [await _attributes(store, instance, wanted) for instance in (one, other)]
    differing = {
        tag for tag in here.keys() | there.keys() if here.get(tag, ()) != there.get(tag, ())
    }
    return Comparison(
        await object_damage(store, one.key),
        await object_damage(store, other.key),
        {tag: here.get(tag, ()) for tag in sorted(differing)},
        {tag: there.get(tag, ()) for tag in sorted(differing)},
        await _first_difference(store, one, other),
    )


async def _attributes(
    store: ObjectStore, instance: StoredInstance, wanted: frozenset[int]
) -> Attributes:
    try:
        return (await read_record(store, StoredObject(instance.key, 0), wanted)).attributes
    except InvalidInstanceError:
        return {}


async def _first_difference(
    store: ObjectStore, one: StoredInstance, other: StoredInstance
) -> int | None:
    async with await store.open(one.key) as left, await store.open(other.key) as right:
        position = 0
        async for chunk in left.chunks(one.dataset_offset):
            beside = await right.read(other.dataset_offset + position, len(chunk))
            if chunk != beside:
                # Only in the chunk that differs: byte by byte takes Python long.
                pairs = zip(chunk, beside, strict=False)
                same = next((n for n, (a, b) in enumerate(pairs) if a != b), len(beside))
                return position + same
            position += len(chunk)
        return position if other.dataset_offset + position < right.size else None
