"""Stored Part 10 objects: where their dataset begins, and whether two hold the same."""

from pacs_core.contracts import (
    InvalidInstanceError,
    ObjectNotFoundError,
    ObjectReader,
    ObjectStore,
    Origin,
    StoredInstance,
)
from pacs_core.dataset import FileMeta, NeedMoreData, NotPart10, read_file_meta

_FIRST_READ = 16 * 1024


async def read_meta(reader: ObjectReader) -> FileMeta:
    """Return the file meta information of an object (PS3.10 §7.1).

    Raises
    ------
    InvalidInstanceError
        It has none that can be read.
    """
    length = _FIRST_READ
    while True:
        prefix = await reader.read(0, length)
        try:
            return read_file_meta(prefix)
        except NeedMoreData as short:
            if len(prefix) < length:
                raise InvalidInstanceError("it ends within its file meta information") from short
            length = max(2 * length, short.needed)
        except NotPart10 as error:
            raise InvalidInstanceError(str(error)) from error


def origin_in(meta: FileMeta) -> Origin:
    """Return what an object says of who sent it (PS3.10 Table 7.1-1); its door it does not say."""
    return Origin("", meta.sending_ae_title, meta.receiving_ae_title)


async def same_bytes(
    one: ObjectReader, one_offset: int, other: ObjectReader, other_offset: int
) -> bool:
    """Tell whether two objects hold the same bytes from their offsets on."""
    if one.size - one_offset != other.size - other_offset:
        return False
    position = 0
    async for chunk in one.chunks(one_offset):
        if chunk != await other.read(other_offset + position, len(chunk)):
            return False
        position += len(chunk)
    return True


async def same_dataset(store: ObjectStore, one: StoredInstance, other: StoredInstance) -> bool:
    """Tell whether two instances have the same transfer syntax and dataset, byte for byte."""
    if one.transfer_syntax_uid != other.transfer_syntax_uid:
        return False
    async with await store.open(one.key) as left, await store.open(other.key) as right:
        return await same_bytes(left, one.dataset_offset, right, other.dataset_offset)


async def holds_dataset(store: ObjectStore, key: str, instance: StoredInstance) -> bool:
    """Tell whether the object `key`, of which nothing is known, has the dataset of `instance`."""
    try:
        async with await store.open(key) as reader, await store.open(instance.key) as known:
            meta = await read_meta(reader)
            if meta.transfer_syntax_uid != instance.transfer_syntax_uid:
                return False
            offset = meta.dataset_offset
            return await same_bytes(reader, offset, known, instance.dataset_offset)
    except (ObjectNotFoundError, InvalidInstanceError):
        return False
