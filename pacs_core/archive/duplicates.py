"""Instances whose SOP Instance UID the archive holds already.

PS3.5 §9 makes UIDs unique; devices and people do not always. The same content is acknowledged and
not written again. Other content is dealt with by policy, and never lost in silence.
"""

import hashlib
import logging
from collections.abc import AsyncIterator
from typing import NoReturn
from uuid import uuid4

from attrs import frozen

from pacs_core.archive.conflicts import report_conflicts
from pacs_core.archive.deletion_guards import DeletionGuards
from pacs_core.archive.fixity import SET_ASIDE, Digest, digest_of, is_decay, later_rank
from pacs_core.archive.incoming_instance import Chunk, IncomingInstance, InstanceWriter
from pacs_core.archive.objects import read_meta, same_dataset
from pacs_core.archive.settings import DuplicatePolicy
from pacs_core.archive.storage import ArchiveStorage
from pacs_core.contracts import (
    CHUNK_SIZE,
    AuditEvent,
    AuditKind,
    AuditTrail,
    DuplicateInstanceError,
    IndexResult,
    IngestOutcome,
    IngestResult,
    InstanceRecord,
    InvalidInstanceError,
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectReader,
    Origin,
    Outcome,
    StoredInstance,
)

# Theory of operation
#
# A newcomer is compared as it arrives, so that the same content is never written: most duplicates
# are whole studies sent twice. Only from the first byte that differs on is it written; what came
# before that is not held, but read again from the object that has it. A medium that reads
# differently the second time is found by the digest of what was written.
#
# Which object is served is settled by the index alone, in one transaction (`replace`), and by rank
# in the objects, for a rebuild. What is set aside gets a name made of its content, and so finds
# itself when it is sent again. What replaces gets a random name: its content may have been there
# before, under a lower rank.
#
# What a deletion guard holds is not replaced: the newcomer is set aside instead. Guards are asked
# once more when another row is in its place (see `deletion_guards`).
#
# An audit record precedes each act that cannot be undone, and the act is left undone if the record
# fails.

_log = logging.getLogger(__name__)

_DIGEST_LENGTH = 32


async def matching_length(
    incoming: IncomingInstance, existing: StoredInstance, reader: ObjectReader
) -> int | None:
    """Compare an incoming instance with what is stored as it arrives, until they differ.

    Returns
    -------
    int or None
        How many bytes were taken from the incoming instance and are the same; None if all are,
        and the transfer syntax as well.
    """
    if incoming.transfer_syntax_uid != existing.transfer_syntax_uid:
        return 0
    offset = existing.dataset_offset
    window, position = memoryview(b""), offset
    while (chunk := await incoming.next()) is not None:
        if len(window) < len(chunk):
            window = memoryview(await _readable(reader, position, max(len(chunk), CHUNK_SIZE)))
        if window[: len(chunk)] != chunk:
            incoming.put_back(chunk)
            return position - offset
        window = window[len(chunk) :]
        position += len(chunk)
    return None if position == reader.size else position - offset


async def _readable(reader: ObjectReader, offset: int, length: int) -> bytes:
    """Read from an object; what the medium has lost differs from whatever comes."""
    try:
        return await reader.read(offset, length)
    except OSError as error:
        if is_decay(error):
            return b""
        raise


async def _span(reader: ObjectReader, offset: int, length: int) -> AsyncIterator[bytes]:
    for start in range(0, length, CHUNK_SIZE):
        yield await reader.read(offset + start, min(CHUNK_SIZE, length - start))


@frozen
class Duplicates:
    """Deals with newcomers by policy."""

    storage: ArchiveStorage
    policy: DuplicatePolicy
    audit: AuditTrail
    guards: DeletionGuards

    async def decide(self, existing: StoredInstance, origin: Origin) -> DuplicatePolicy:
        """Decide, before other content is read to its end, what becomes of it.

        Raises
        ------
        DuplicateInstanceError
            Policy is to reject.
        """
        if self.policy is DuplicatePolicy.REJECT:
            await self._reject(existing, origin)
        if self.policy is DuplicatePolicy.REPLACE and await self._is_held(existing, origin):
            return DuplicatePolicy.KEEP_FIRST
        return self.policy

    async def _is_held(self, existing: StoredInstance, origin: Origin) -> bool:
        holds = await self.guards.find_holds([existing], origin)
        for uid, reason in holds.items():
            _log.warning("instance %s is not replaced: it is held: %s", uid, reason)
        return bool(holds)

    async def write(
        self,
        writer: InstanceWriter,
        incoming: IncomingInstance,
        existing: StoredInstance,
        reader: ObjectReader,
        matching: int,
    ) -> str:
        """Write an incoming instance of which the first bytes must be fetched from what is stored.

        Returns
        -------
        str
            A digest of transfer syntax and dataset that nobody can forge, for a name.

        Raises
        ------
        OSError
            What is stored was read twice, and was not the same.
        """
        name = hashlib.sha256(incoming.transfer_syntax_uid.encode() + b"\0")
        written = Digest()
        async for piece in self._whole(incoming, existing, reader, matching):
            name.update(piece)
            written.update(piece)
            await writer.write(piece)
        if written.digest() != incoming.digest:
            raise OSError(f"object {existing.key} reads differently each time")
        return name.hexdigest()[:_DIGEST_LENGTH]

    async def _whole(
        self,
        incoming: IncomingInstance,
        existing: StoredInstance,
        reader: ObjectReader,
        matching: int,
    ) -> AsyncIterator[Chunk]:
        async for piece in _span(reader, existing.dataset_offset, matching):
            yield piece
        while (chunk := await incoming.next()) is not None:
            yield chunk

    async def commit(
        self,
        writer: InstanceWriter,
        name: str,
        incoming: IncomingInstance,
        existing: StoredInstance,
        policy: DuplicatePolicy,
    ) -> IngestResult:
        """Commit a written newcomer beside what is stored, as :meth:`decide` has said."""
        if policy is DuplicatePolicy.KEEP_FIRST:
            key = await self._keep(writer, name, incoming, existing)
            return await self._set_aside(key, existing, incoming.origin)
        record = incoming.record(await writer.commit(uuid4().hex, later_rank()))
        async with self.storage.withdraw_on_failure(record.instance):
            return await self._replace(record, existing, incoming.origin)

    async def _keep(
        self,
        writer: InstanceWriter,
        name: str,
        incoming: IncomingInstance,
        existing: StoredInstance,
    ) -> str:
        """Commit what is set aside: sent again it meets its own key, and does not pile up.

        Whatever fails later, it is not withdrawn: by then another process may rely on it.
        """
        try:
            return (await writer.commit(name, SET_ASIDE)).key
        except ObjectExistsError as taken:
            if taken.key != existing.key and await self._is_kept(taken.key, incoming):
                return taken.key
            # What lies there has the newcomer's name but not its bytes: it has decayed.
            return (await writer.commit(uuid4().hex, SET_ASIDE)).key

    async def _is_kept(self, key: str, incoming: IncomingInstance) -> bool:
        """Tell whether an object, set aside before, still is what it was."""
        try:
            async with await self.storage.store.open(key) as reader:
                meta = await read_meta(reader)
                return await digest_of(reader, meta.dataset_offset) == incoming.digest
        except (ObjectNotFoundError, InvalidInstanceError, OSError):
            return False

    async def compare(
        self, newcomer: InstanceRecord, existing: StoredInstance, origin: Origin
    ) -> IngestResult:
        """Deal with a stored newcomer that was not the first to get into the index."""
        if await same_dataset(self.storage.store, newcomer.instance, existing):
            await self.storage.discard(newcomer.instance.key)
            await self.storage.behind.confirm(existing)
            return IngestResult(IngestOutcome.IDENTICAL, existing)
        await self.storage.behind.secure(newcomer.instance)
        if await self.decide(existing, origin) is DuplicatePolicy.REPLACE:
            return await self._replace(newcomer, existing, origin)
        return await self._set_aside(newcomer.instance.key, existing, origin)

    async def _set_aside(self, key: str, existing: StoredInstance, origin: Origin) -> IngestResult:
        await self._record("set-aside", key, existing, origin)
        return IngestResult(IngestOutcome.SET_ASIDE, existing)

    async def _replace(
        self, newcomer: InstanceRecord, existing: StoredInstance, origin: Origin
    ) -> IngestResult:
        # Recorded first: what cannot be recorded must not happen.
        await self._record("replaced", newcomer.instance.key, existing, origin)
        await self.storage.behind.forget(existing.identity.path)
        result = await self.storage.index.replace(newcomer)
        former = result.existing
        if former is not None and former.key != newcomer.instance.key:
            if await self._is_held(former, origin):
                # Since it was decided: what was promised stays, though no longer in its place.
                _log.warning("object %s is set aside", former.key)
            else:
                await self.storage.discard(former.key)
        await self.report(result, newcomer.instance, origin)
        return IngestResult(IngestOutcome.REPLACED, newcomer.instance)

    async def report(self, result: IndexResult, instance: StoredInstance, origin: Origin) -> None:
        """Report what an instance that is in the index now contradicts."""
        await report_conflicts(self.audit, result.conflicts, instance.identity, origin)

    async def _reject(self, existing: StoredInstance, origin: Origin) -> NoReturn:
        await self._record("rejected", None, existing, origin)
        uid = existing.identity.sop_instance_uid
        raise DuplicateInstanceError(f"other content is stored under SOP Instance UID {uid}")

    async def _record(
        self, what: str, newcomer_key: str | None, existing: StoredInstance, origin: Origin
    ) -> None:
        uid = existing.identity.sop_instance_uid
        _log.warning(
            "other content for %s from %s: %s (held: %s, new: %s)",
            uid, origin.calling_ae_title or origin.interface, what, existing.key, newcomer_key,
        )  # fmt: skip
        details = {
            "sop_instance_uid": uid,
            "decision": what,
            "existing_key": existing.key,
            "newcomer_key": newcomer_key,
        }
        outcome = Outcome.FAILURE if newcomer_key is None else Outcome.WARNING
        await self.audit.record(AuditEvent(AuditKind.DUPLICATE, outcome, origin, details))
