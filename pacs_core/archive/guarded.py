"""The archive as somebody may use it: every method asks the authorizers first.

Restrictions become part of each query, so that the index itself leaves out what does not exist
for this one. What is ingested is looked at while it passes: a dataset that does not meet them
breaks off before its end, and the archive keeps nothing of it.
"""

from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence

from attrs import evolve

from pacs_core.archive.incoming_instance import scan_steadily
from pacs_core.archive.settings import CharacterSetOf, no_character_set
from pacs_core.association import AccessControl
from pacs_core.concurrency import closing
from pacs_core.contracts import (
    Access,
    AccessAction,
    AccessTarget,
    Archive,
    Availability,
    Correction,
    CorrectionReport,
    DeletedInstance,
    DeletionReport,
    Difference,
    EntityPath,
    Fingerprint,
    Frame,
    IngestResult,
    InstanceHeader,
    InstanceNotFoundError,
    InstancePath,
    Level,
    ObjectReader,
    Origin,
    Query,
    RecallProgress,
    RecallReport,
    Restriction,
    SingleValue,
    StoredInstance,
    admits,
    restricted_tags,
)
from pacs_core.dataset import Attributes, BulkData, Changes, HeaderScanner, ReadLimits, tag_of

# Theory of operation
#
# The guard is an archive in front of an archive, so that whatever is written for the one works with
# the other, plugins included. What every archive must have is abstract, and cannot be forgotten
# here; what `Archive` makes of that by itself is guarded with it.
#
# What is asked of the authorizers depends on the action and the caller, not on single instances.
# The answer is remembered for the life of the guard, which is that of one association, one request
# or one command (`_granted`). A denial raises. Restrictions are conditions on attributes, and are
# handed to the index as part of every query; the index answers as if nothing else were there, in
# counts and merged values too. Looking at each result afterwards would tell how many were left out.
#
# Single instances (`open`, `header`, `frames`) are looked up by a restricted query before they are
# touched. One that is not permitted and one that does not exist give the same error.
#
# Guards nest. Who holds a guarded archive and asks for another on behalf of somebody gets both sets
# of restrictions, so rights can only shrink on the way.

_STUDY = tag_of("StudyInstanceUID")
_INSTANCE = tag_of("SOPInstanceUID")


class GuardedArchive(Archive):
    """An archive on behalf of somebody, see :meth:`Archive.on_behalf_of`.

    Parameters
    ----------
    archive : Archive
    access : AccessControl
    origin : Origin
    reading : str
        The action for which instances are read.
    what : AccessTarget or None
    character_set_of : CharacterSetOf
        As the archive itself takes what is ingested.
    """

    def __init__(
        self,
        archive: Archive,
        access: AccessControl,
        origin: Origin,
        reading: str,
        what: AccessTarget | None,
        character_set_of: CharacterSetOf = no_character_set,
    ) -> None:
        self._archive = archive
        self._access = access
        self._origin = origin
        self._reading = reading
        self._what = what or AccessTarget()
        self._character_set_of = character_set_of
        self._granted: dict[str, tuple[Restriction, ...]] = {}

    def on_behalf_of(
        self,
        origin: Origin,
        *,
        reading: str = AccessAction.RETRIEVE,
        what: AccessTarget | None = None,
    ) -> Archive:
        """Return the archive for another, who gets no more than this one."""
        access, character_set_of = self._access, self._character_set_of
        return GuardedArchive(self, access, origin, reading, what, character_set_of)

    async def _require(self, action: str) -> tuple[Restriction, ...]:
        if action not in self._granted:
            self._granted[action] = await self._access.require(self._make_access(action))
        return self._granted[action]

    def _make_access(self, action: str) -> Access:
        return Access(action, self._origin, self._what)

    async def _restrict(self, query: Query, action: str) -> Query:
        restrictions = await self._require(action)
        return evolve(query, restrictions=query.restrictions + restrictions)

    async def ingest(
        self,
        dataset: AsyncIterable[bytes | memoryview],
        *,
        transfer_syntax_uid: str,
        sop_class_uid: str,
        sop_instance_uid: str,
        origin: Origin,
    ) -> IngestResult:
        """Store a dataset if that is allowed, see :meth:`Archive.ingest`."""
        restrictions = await self._require(AccessAction.STORE)
        if restrictions:
            dataset = self._check(dataset, transfer_syntax_uid, restrictions)
        return await self._archive.ingest(
            dataset,
            transfer_syntax_uid=transfer_syntax_uid,
            sop_class_uid=sop_class_uid,
            sop_instance_uid=sop_instance_uid,
            origin=origin,
        )

    async def _check(
        self,
        dataset: AsyncIterable[bytes | memoryview],
        transfer_syntax_uid: str,
        restrictions: tuple[Restriction, ...],
    ) -> AsyncIterator[bytes | memoryview]:
        """Hand on a dataset; raise at its end if it does not meet the restrictions."""
        scanner = HeaderScanner(
            transfer_syntax_uid,
            restricted_tags(restrictions),
            default_character_set=self._character_set_of(self._origin.calling_ae_title),
        )
        # Nothing is held back: the archive keeps no dataset that breaks off, so the end is soon
        # enough.
        async for chunk in dataset:
            if not scanner.done:
                await scan_steadily(scanner, chunk)
            yield chunk
        if not scanner.done:
            scanner.finish()
        known = not (scanner.incomplete or scanner.oversized)
        if not known or not all(admits(each, scanner.attributes) for each in restrictions):
            reason = "the instance is not one that may be stored"
            await self._access.deny(self._make_access(AccessAction.STORE), reason)

    async def search(self, query: Query) -> AsyncIterator[Attributes]:
        """Iterate over what matches and may be seen."""
        found = self._archive.search(await self._restrict(query, AccessAction.QUERY))
        async with closing(found):
            async for result in found:
                yield result

    async def count(self, query: Query) -> int:
        """Return how many entities match."""
        restricted = await self._restrict(query, AccessAction.QUERY)
        return await self._archive.count(restricted)

    async def instances(self, query: Query) -> AsyncIterator[StoredInstance]:
        """Iterate over matching instances that may be read."""
        found = self._archive.instances(await self._restrict(query, self._reading))
        async with closing(found):
            async for instance in found:
                yield instance

    async def fingerprint(self, query: Query) -> Fingerprint:
        """Return how many instances match that may be read, and a digest of them."""
        return await self._archive.fingerprint(await self._restrict(query, self._reading))

    def searchable_tags(self, level: Level) -> frozenset[int]:
        """Tags that a query at `level` may match on or return."""
        return self._archive.searchable_tags(level)

    async def gap(self) -> str:
        """Return why searches may miss instances that are stored."""
        return await self._archive.gap()

    async def make_durable(self, instances: Sequence[StoredInstance]) -> None:
        """Flush instances, which whoever has them may see."""
        await self._archive.make_durable(instances)

    async def availability(self, query: Query) -> Availability:
        """Return how soon all instances that match, and may be seen, can be read."""
        restricted = await self._restrict(query, AccessAction.QUERY)
        return await self._archive.availability(restricted)

    async def availabilities(
        self, query: Query, entities: Sequence[tuple[str, ...]]
    ) -> Sequence[Availability]:
        """Return how soon all instances of each entity that may be seen can be read."""
        restricted = await self._restrict(query, AccessAction.QUERY)
        return await self._archive.availabilities(restricted, entities)

    async def recall(self, query: Query, report: RecallReport | None = None) -> RecallProgress:
        """Bring the instances that match, and may be read, online."""
        restricted = await self._restrict(query, self._reading)
        return await self._archive.recall(restricted, report)

    async def locate(self, path: InstancePath) -> StoredInstance | None:
        """Return the instance with this path, if it may be read."""
        return await self._locate(path, self._reading)

    async def _locate(self, path: InstancePath, action: str) -> StoredInstance | None:
        restrictions = await self._require(action)
        if not restrictions:
            return await self._archive.locate(path)
        keys = SingleValue(_STUDY, path[0]), SingleValue(_INSTANCE, path[1])
        query = Query(Level.IMAGE, keys, restrictions=restrictions)
        found = self._archive.instances(query)
        async with closing(found):
            return await anext(found, None)

    async def _find(self, instance: StoredInstance) -> None:
        if not await self._require(self._reading):
            return
        located = await self._locate(instance.identity.path, self._reading)
        if located is None or located.key != instance.key:
            raise InstanceNotFoundError(f"there is no object {instance.key!r}")

    async def open(self, instance: StoredInstance) -> ObjectReader:
        """Open the object of an instance that may be read."""
        await self._find(instance)
        return await self._archive.open(instance)

    async def open_and_read(
        self, instance: StoredInstance, length: int, *, with_file_meta: bool = False
    ) -> tuple[ObjectReader, bytes]:
        """Open the object of an instance that may be read, and read its beginning."""
        await self._find(instance)
        return await self._archive.open_and_read(instance, length, with_file_meta=with_file_meta)

    async def header(
        self, instance: StoredInstance, limits: ReadLimits | None = None
    ) -> InstanceHeader:
        """Read the elements of an instance that may be read."""
        await self._find(instance)
        return await self._archive.header(instance, limits)

    async def metadata(self, query: Query) -> AsyncIterator[tuple[StoredInstance, bytes]]:
        """Iterate over the metadata of instances that may be read."""
        found = self._archive.metadata(await self._restrict(query, self._reading))
        async with closing(found):
            async for metadata in found:
                yield metadata

    async def bulk_data(self, instance: StoredInstance, value: BulkData) -> AsyncIterator[bytes]:
        """Iterate over the bytes of a value of an instance that may be read."""
        await self._find(instance)
        async with closing(self._archive.bulk_data(instance, value)) as pieces:
            async for piece in pieces:
                yield piece

    async def frames(
        self, instance: StoredInstance, numbers: Sequence[int]
    ) -> AsyncIterator[Frame]:
        """Iterate over frames of an instance that may be read."""
        await self._find(instance)
        async with closing(self._archive.frames(instance, numbers)) as frames:
            async for frame in frames:
                yield frame

    async def delete(
        self, path: InstancePath, origin: Origin, *, override: str = ""
    ) -> StoredInstance:
        """Delete an instance that may be deleted; others are not there."""
        for action in _deleting(override):
            if await self._locate(path, action) is None:
                raise InstanceNotFoundError(
                    f"there is no instance {path.sop_instance_uid} in study "
                    f"{path.study_instance_uid}"
                )
        return await self._archive.delete(path, origin, override=override)

    async def delete_all(
        self, query: Query, origin: Origin, *, override: str = ""
    ) -> DeletionReport:
        """Delete what a query finds and may be deleted."""
        for action in _deleting(override):
            query = await self._restrict(query, action)
        return await self._archive.delete_all(query, origin, override=override)

    async def holds(self, query: Query, origin: Origin) -> Mapping[InstancePath, str]:
        """Return what is held of the instances that may be deleted."""
        restricted = await self._restrict(query, AccessAction.DELETE)
        return await self._archive.holds(restricted, origin)

    async def differences(self) -> AsyncIterator[Difference]:
        """Iterate over what is different, for who may delete everything."""
        await self._require_all_deletable()
        async with closing(self._archive.differences()) as found:
            async for each in found:
                yield each

    async def restore(self, deleted: DeletedInstance, origin: Origin) -> StoredInstance:
        """Serve again what was deleted, if that is allowed, see :meth:`Archive.restore`."""
        await self._require_all_deletable()
        return await self._archive.restore(deleted, origin)

    async def purge(self, deleted: DeletedInstance, origin: Origin) -> bool:
        """Remove for good what was deleted, if that is allowed, see :meth:`Archive.purge`."""
        await self._require_all_deletable()
        return await self._archive.purge(deleted, origin)

    async def _require_all_deletable(self) -> None:
        # Of what was deleted the index cannot tell any more whether it meets a restriction.
        if await self._require(AccessAction.DELETE):
            reason = "that is for those who may delete everything"
            await self._access.deny(self._make_access(AccessAction.DELETE), reason)

    async def update(
        self,
        entity: EntityPath,
        changes: Changes,
        origin: Origin,
        *,
        reason: str = "CORRECT",
        comment: str = "",
        in_advance: bool = False,
    ) -> CorrectionReport:
        """Correct an entity, if all of it may be corrected."""
        restrictions = await self._require(AccessAction.UPDATE)
        if restrictions:
            await self._require_whole(entity, restrictions)
        return await self._archive.update(
            entity,
            changes,
            origin,
            reason=reason,
            comment=comment,
            in_advance=in_advance and not restrictions,
        )

    async def revert(self, number: int, origin: Origin, *, comment: str = "") -> CorrectionReport:
        """Take back a correction, if nothing is restricted: nobody can tell what it is about."""
        if await self._require(AccessAction.UPDATE):
            reason = "corrections may be taken back only by who may correct everything"
            await self._access.deny(self._make_access(AccessAction.UPDATE), reason)
        return await self._archive.revert(number, origin, comment=comment)

    async def corrections(self, entity: EntityPath | None = None) -> AsyncIterator[Correction]:
        """Iterate over the log, as far as what it is about may be corrected as a whole."""
        restrictions = await self._require(AccessAction.UPDATE)
        async with closing(self._archive.corrections(entity)) as found:
            async for correction in found:
                if not restrictions or await self._is_whole(correction.entity, restrictions):
                    yield correction

    async def _is_whole(self, entity: EntityPath, restrictions: tuple[Restriction, ...]) -> bool:
        """Tell whether there are instances in an entity, and all of them meet restrictions."""
        query = Query(Level.IMAGE, entity.conditions)
        permitted = await self._archive.count(evolve(query, restrictions=restrictions))
        return 0 < permitted == await self._archive.count(query)

    async def _require_whole(
        self, entity: EntityPath, restrictions: tuple[Restriction, ...]
    ) -> None:
        query = Query(Level.IMAGE, entity.conditions, restrictions=restrictions)
        if not await self._archive.count(query):
            raise InstanceNotFoundError(f"there is no {entity}")
        if not await self._is_whole(entity, restrictions):
            reason = "not all of it may be corrected"
            await self._access.deny(self._make_access(AccessAction.UPDATE), reason)


def _deleting(override: str) -> tuple[AccessAction, ...]:
    """Return what must be permitted to who deletes."""
    held = (AccessAction.DELETE_HELD,) if override else ()
    return (AccessAction.DELETE, *held)
