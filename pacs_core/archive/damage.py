"""Damage to an object: what lies in the store is not what was stored."""

from attrs import evolve

from pacs_core.archive.fixity import Fixity, digest_of
from pacs_core.archive.objects import read_meta
from pacs_core.archive.survey import read_record
from pacs_core.contracts import (
    InvalidInstanceError,
    ObjectNotFoundError,
    ObjectReader,
    ObjectStore,
    StoredInstance,
    StoredObject,
)

OTHER_BYTES = "its bytes are not those that were stored"


async def damage(store: ObjectStore, instance: StoredInstance) -> str:
    """Say what is wrong with what is served of an instance; nothing if it is whole.

    Where no digest is known, its header is read, and that it ends well.

    Raises
    ------
    OSError
        It cannot be read, which need not mean that it is damaged.
    """
    try:
        async with await store.open(instance.key) as reader:
            if reader.size != instance.size:
                return f"its object has {reader.size} of {instance.size} bytes"
            if instance.digest:
                found = await digest_of(reader, instance.dataset_offset)
                return "" if found == instance.digest else OTHER_BYTES
        return await _flaw(store, instance)
    except ObjectNotFoundError:
        return "its object is missing"


async def _flaw(store: ObjectStore, instance: StoredInstance) -> str:
    stored = StoredObject(instance.key, instance.size)
    try:
        record = await read_record(store, stored, frozenset())
    except InvalidInstanceError as error:
        return f"its object is damaged: {error}"
    return "" if evolve(record.instance, digest=b"") == instance else "its object is another one's"


async def meta_damage(reader: ObjectReader, instance: StoredInstance) -> str:
    """Say what is wrong with an object's file meta information: it is not served, but rebuilt from.

    Raises
    ------
    OSError
        It cannot be read.
    """
    try:
        meta = await read_meta(reader)
    except InvalidInstanceError as error:
        return f"its file meta information is damaged: {error}"
    said = (meta.sop_instance_uid, meta.transfer_syntax_uid, meta.dataset_offset)
    identity = instance.identity
    known = (identity.sop_instance_uid, instance.transfer_syntax_uid, instance.dataset_offset)
    if said != known or Fixity.read(meta).digest not in (b"", instance.digest):
        return "its file meta information is another one's, or damaged"
    return ""
