"""Damage to an object: what lies in the store is not what was stored."""

import logging

from attrs import evolve

from pacs_core.archive.fixity import Fixity, digest_of
from pacs_core.archive.object_scan import read_record
from pacs_core.archive.objects import read_meta
from pacs_core.archive.pacing import Pace
from pacs_core.contracts import (
    AuditEvent,
    AuditFailedError,
    AuditKind,
    AuditTrail,
    InvalidInstanceError,
    ObjectNotFoundError,
    ObjectReader,
    ObjectStore,
    Origin,
    Outcome,
    StoredInstance,
    StoredObject,
)

# Theory of operation
#
# What is served of an object is its dataset; the index knows its size, offset and digest. So the
# dataset is judged against the index, and the file meta information, which is never served but
# which a rebuild reads, is judged apart (`meta_damage`). Both are checked when instances are
# verified; reading for a peer checks the dataset as it passes.
#
# "Cannot be read" is kept apart from "is damaged". An OSError may be a network file system that is
# gone for a minute, and an audit record of damage would send somebody to the backups for nothing;
# `fixity.is_decay` names the few errors by which a medium says that it has lost data.

_log = logging.getLogger(__name__)

OTHER_BYTES = "its bytes are not those that were stored"


async def damage(store: ObjectStore, instance: StoredInstance, pace: Pace | None = None) -> str:
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
                found = await digest_of(reader, instance.dataset_offset, pace)
                return "" if found == instance.digest else OTHER_BYTES
        stored = StoredObject(instance.key, instance.size)
        try:
            record = await read_record(store, stored, frozenset())
        except InvalidInstanceError as error:
            return f"its object is damaged: {error}"
        return (
            "" if evolve(record.instance, digest=b"") == instance else "its object is another one's"
        )
    except ObjectNotFoundError:
        return "its object is missing"


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


async def object_damage(store: ObjectStore, key: str) -> str:
    """Say what is wrong with an object by the digest that it has of itself.

    Raises
    ------
    ObjectNotFoundError
        There is none.
    OSError
        It cannot be read.
    """
    async with await store.open(key) as reader:
        try:
            meta = await read_meta(reader)
        except InvalidInstanceError as error:
            return f"its file meta information is damaged: {error}"
        said = Fixity.read(meta).digest
        whole = not said or await digest_of(reader, meta.dataset_offset) == said
    return "" if whole else OTHER_BYTES


async def report_damage(
    audit: AuditTrail, instance: StoredInstance, reason: str, origin: Origin
) -> None:
    """Log and record that what is served of an instance is damaged."""
    identity = instance.identity
    _log.error(
        "instance %s is damaged: %s (%s); store it again, or restore it from a backup",
        identity.sop_instance_uid, reason, instance.key,
    )  # fmt: skip
    details = {
        "study_instance_uid": identity.study_instance_uid,
        "series_instance_uid": identity.series_instance_uid,
        "sop_instance_uid": identity.sop_instance_uid,
        "key": instance.key,
        "reason": reason,
    }
    event = AuditEvent(AuditKind.INSTANCE_DAMAGED, Outcome.FAILURE, origin, details)
    try:
        await audit.record(event)
    except AuditFailedError:
        # Nothing is acknowledged that would have to be recorded.
        _log.exception("the damage was not recorded")
