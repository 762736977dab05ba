"""An archive that keeps everything in memory: the contract in its simplest form."""

from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Final

from attrs import define, evolve, field, frozen

from pacs_core.archive.corrected_reader import Overlay, correct_reader
from pacs_core.archive.correcting import new_correction
from pacs_core.archive.correction_rules import check_correction, normalize_changes
from pacs_core.archive.corrections import Corrections, overlay
from pacs_core.archive.deletion_guards import DeletionGuards
from pacs_core.archive.frame_reading import FrameLayouts
from pacs_core.archive.range_reading import RangeReadingArchive
from pacs_core.contracts import (
    Correction,
    CorrectionError,
    CorrectionNotFoundError,
    CorrectionReport,
    DeletionReport,
    DuplicateInstanceError,
    EntityPath,
    IdentityMismatchError,
    IngestOutcome,
    IngestResult,
    InstanceHeldError,
    InstanceIdentity,
    InstanceNotFoundError,
    InstancePath,
    InvalidInstanceError,
    Level,
    ObjectReader,
    Origin,
    Query,
    StoredInstance,
    admits,
)
from pacs_core.dataset import (
    Attributes,
    Changes,
    MalformedDataset,
    file_meta,
    parse_attributes,
    tag_of,
    texts,
)
from pacs_core.dimse import is_valid_uid
from pacs_core.testing.memory_corrections import MemoryCorrectionLog
from pacs_core.testing.memory_order import sort_results
from pacs_core.testing.memory_store import MemoryReader

_PATIENT_ID: Final = tag_of("PatientID")
_ISSUER: Final = tag_of("IssuerOfPatientID")
_STUDY: Final = tag_of("StudyInstanceUID")
_SERIES: Final = tag_of("SeriesInstanceUID")
_INSTANCE: Final = tag_of("SOPInstanceUID")
_SOP_CLASS: Final = tag_of("SOPClassUID")
_MODALITY: Final = tag_of("Modality")
_NUMBER: Final = tag_of("InstanceNumber")
_MAX_LENGTH: Final = 1 << 30

_KEYS: Final = {
    Level.PATIENT: (_PATIENT_ID, _ISSUER),
    Level.STUDY: (_STUDY,),
    Level.SERIES: (_STUDY, _SERIES),
    Level.IMAGE: (_STUDY, _INSTANCE),
}

SEARCHABLE: Final = {
    Level.PATIENT: (
        "PatientName PatientID IssuerOfPatientID PatientBirthDate PatientSex "
        "OtherPatientIDsSequence NumberOfPatientRelatedStudies NumberOfPatientRelatedSeries "
        "NumberOfPatientRelatedInstances"
    ),
    Level.STUDY: (
        "StudyDate StudyTime AccessionNumber StudyID StudyInstanceUID StudyDescription "
        "ReferringPhysicianName ProcedureCodeSequence ModalitiesInStudy SOPClassesInStudy "
        "NumberOfStudyRelatedSeries NumberOfStudyRelatedInstances TimezoneOffsetFromUTC"
    ),
    Level.SERIES: (
        "Modality SeriesNumber SeriesInstanceUID SeriesDescription NumberOfSeriesRelatedInstances"
    ),
    Level.IMAGE: (
        "InstanceNumber SOPInstanceUID SOPClassUID AcquisitionDateTime "
        "AlternateRepresentationSequence"
    ),
}
"""Keywords of what can be searched, by level."""


@frozen
class _Held:
    """An object: what it was stored as, and what corrections have made of it."""

    stored: StoredInstance
    header: Attributes
    data: bytes
    instance: StoredInstance
    attributes: Attributes


@define
class MemoryArchive(RangeReadingArchive):
    """Keeps instances in a dictionary and searches them one by one; duplicates are rejected."""

    _held: dict[InstancePath, _Held] = field(factory=dict)
    guards: DeletionGuards = field(factory=DeletionGuards)
    _layouts: FrameLayouts = field(factory=FrameLayouts, init=False)
    _log: MemoryCorrectionLog = field(factory=MemoryCorrectionLog, init=False)
    _corrections: Corrections = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._corrections = Corrections(self._log)

    def put(self, dataset: bytes, transfer_syntax_uid: str) -> StoredInstance:
        """Hold a dataset; raises :class:`IngestError` as :meth:`ingest` does."""
        attributes = _parsed(dataset, transfer_syntax_uid)
        identity = _identity(attributes)
        prefix = file_meta(
            sop_class_uid=identity.sop_class_uid,
            sop_instance_uid=identity.sop_instance_uid,
            transfer_syntax_uid=transfer_syntax_uid,
        )
        data = prefix + dataset
        key = "/".join(identity.path)
        instance = StoredInstance(identity, transfer_syntax_uid, key, len(data), len(prefix))
        held = self._correct(_Held(instance, attributes, data, instance, attributes))
        path = held.instance.identity.path
        held = self._held.setdefault(path, held)
        if held.data != data:
            raise DuplicateInstanceError(f"another object {path[1]} is stored already")
        return held.instance

    def _correct(self, held: _Held) -> _Held:
        corrected = self._corrections.apply(held.stored.identity, held.header)
        instance = evolve(held.stored, identity=corrected.identity, corrections=corrected.numbers)
        return evolve(held, instance=instance, attributes=corrected.attributes)

    async def ingest(
        self,
        dataset: AsyncIterable[bytes | memoryview],
        *,
        transfer_syntax_uid: str,
        sop_class_uid: str,
        sop_instance_uid: str,
        origin: Origin,
    ) -> IngestResult:
        """Hold a dataset."""
        data = b"".join([bytes(chunk) async for chunk in dataset])
        announced = (sop_class_uid, sop_instance_uid)
        identity = _identity(_parsed(data, transfer_syntax_uid))
        if announced != (identity.sop_class_uid, identity.sop_instance_uid):
            raise IdentityMismatchError("the data set is not the SOP instance announced")
        known = len(self._held)
        instance = self.put(data, transfer_syntax_uid)
        is_new = len(self._held) > known
        return IngestResult(IngestOutcome.STORED if is_new else IngestOutcome.IDENTICAL, instance)

    async def search(self, query: Query) -> AsyncIterator[Attributes]:
        """Iterate over what matches."""
        returning = query.returning & self.searchable_tags(query.level)
        for described, _ in self._select(query):
            yield {tag: described.get(tag, ()) for tag in sorted(returning)}

    async def count(self, query: Query) -> int:
        """Return how many entities match."""
        return len(self._select(evolve(query, limit=None, offset=0, order=())))

    async def instances(self, query: Query) -> AsyncIterator[StoredInstance]:
        """Iterate over the instances at or below what matches."""
        for _, members in self._select(query):
            for held in sorted(members, key=_position):
                yield held.instance

    def searchable_tags(self, level: Level) -> frozenset[int]:
        """Return the tags of :data:`SEARCHABLE` down to `level`."""
        words = " ".join(text for above, text in SEARCHABLE.items() if above.depth <= level.depth)
        return frozenset(tag_of(word) for word in words.split())

    async def locate(self, path: InstancePath) -> StoredInstance | None:
        """Return the instance with this path, or None."""
        held = self._held.get(path)
        return held.instance if held else None

    async def open(self, instance: StoredInstance) -> ObjectReader:
        """Open the object of an instance."""
        held = self._get(instance.identity.path)
        if held.instance.key != instance.key or not held.data:
            raise InstanceNotFoundError(f"there is no object {instance.key!r}")
        reader = MemoryReader(held.data)
        if not instance.corrections:
            return reader
        changes, modification = overlay(self._corrections.of(instance.corrections), "MEMORY")
        return await correct_reader(reader, instance, Overlay(changes, modification))

    async def open_ranges(self, instance: StoredInstance) -> ObjectReader:
        """Open an instance; there is nothing to check."""
        return await self.open(instance)

    async def make_durable(self, instances: Sequence[StoredInstance]) -> None:
        """Do nothing: nothing here outlives the process."""

    async def delete(
        self, path: InstancePath, origin: Origin, *, override: str = ""
    ) -> StoredInstance:
        """Forget an instance."""
        instance = self._get(path).instance
        holds = await self.guards.find_holds([instance], origin)
        if holds and not override:
            raise InstanceHeldError(holds[path.sop_instance_uid])
        del self._held[path]
        return instance

    async def delete_all(
        self, query: Query, origin: Origin, *, override: str = ""
    ) -> DeletionReport:
        """Forget all that a query finds."""
        found = [instance async for instance in self.instances(query)]
        holds = {} if override else await self.guards.find_holds(found, origin)
        paths = [instance.identity.path for instance in found]
        held = {path: holds[path[1]] for path in paths if path.sop_instance_uid in holds}
        whole = {path.study_instance_uid for path in held}
        gone = [path for path in paths if path.study_instance_uid not in whole]
        for path in gone:
            del self._held[path]
        return DeletionReport(Counter(path.study_instance_uid for path in gone), held=held)

    async def holds(self, query: Query, origin: Origin) -> Mapping[InstancePath, str]:
        """Return what guards would hold."""
        return await self.guards.find_paths(self.instances(query), origin)

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
        """Correct what is handed out of an entity."""
        check_correction(entity, changes, reason)
        changes = normalize_changes(changes)
        concerned = [
            held
            for held in self._held.values()
            if entity.holds(held.instance.identity, held.attributes)
        ]
        if not (concerned or in_advance):
            raise InstanceNotFoundError(f"there is no {entity}")
        return await self._enter(new_correction(entity, changes, origin, reason, comment))

    async def revert(self, number: int, origin: Origin, *, comment: str = "") -> CorrectionReport:
        """Take back a correction."""
        found = [c for c in self._corrections.entries if c.number == number and c.is_in_force]
        if not found:
            raise CorrectionNotFoundError(f"there is no correction {number} in force")
        entry = new_correction(found[0].entity, {}, origin, "CORRECT", comment)
        return await self._enter(evolve(entry, reverts=number))

    async def _enter(self, correction: Correction) -> CorrectionReport:
        """Let a correction hold, unless two instances would have one path."""
        numbered = evolve(correction, number=self._log.seen + 1)
        entries = (*self._corrections.entries, numbered)
        self._corrections = Corrections(self._log)
        for entry in entries:
            self._corrections.take(evolve(entry, reverted_by=0))
        held = [self._correct(each) for each in self._held.values()]
        by_path = {each.instance.identity.path: each for each in held}
        if len(by_path) < len(held):
            self._corrections = Corrections(self._log)
            await self._corrections.refresh()
            raise CorrectionError("an instance would get the path of another")
        changed = len([each for each in held if each not in self._held.values()])
        self._held = by_path
        await self._log.add(numbered)
        return CorrectionReport(numbered, changed)

    async def corrections(self, entity: EntityPath | None = None) -> AsyncIterator[Correction]:
        """Iterate over the log of corrections."""
        for correction in self._corrections.entries:
            if entity is None or entity.overlaps(correction.entity):
                yield correction

    def lose(self, path: InstancePath) -> None:
        """Let the object vanish while the index still knows it."""
        held = self._get(path)
        gone = StoredInstance(
            held.instance.identity, held.instance.transfer_syntax_uid, "lost", 0, 0
        )
        self._held[path] = _Held(gone, held.header, b"", gone, held.attributes)

    def _get(self, path: InstancePath) -> _Held:
        try:
            return self._held[path]
        except KeyError:
            raise InstanceNotFoundError(f"there is no instance {path}") from None

    def _select(self, query: Query) -> list[tuple[Attributes, list[_Held]]]:
        entities: dict[tuple[tuple[str, ...], ...], list[_Held]] = {}
        for held in self._held.values():
            if not all(admits(each, held.attributes) for each in query.restrictions):
                continue
            key = tuple(texts(held.attributes, tag) for tag in _KEYS[query.level])
            entities.setdefault(key, []).append(held)
        found = [
            (_described(members), members)
            for members in entities.values()
            if all(
                any(admits(c, held.attributes) for held in members) or admits(c, _computed(members))
                for c in query.conditions
            )
        ]
        for order in reversed(query.order):
            found = sort_results(found, order, lambda each: each[0])
        end = None if query.limit is None else query.offset + query.limit
        return found[query.offset : end]


def _parsed(dataset: bytes, transfer_syntax_uid: str) -> Attributes:
    try:
        return parse_attributes(dataset, transfer_syntax_uid, max_length=_MAX_LENGTH)
    except MalformedDataset as error:
        raise InvalidInstanceError(str(error)) from error


def _identity(attributes: Attributes) -> InstanceIdentity:
    uids = ["".join(texts(attributes, t)) for t in (_STUDY, _SERIES, _INSTANCE, _SOP_CLASS)]
    if not all(map(is_valid_uid, uids)):
        raise InvalidInstanceError("the data set lacks a UID of its hierarchy")
    return InstanceIdentity(*uids)


def _position(held: _Held) -> tuple[str, str, int]:
    identity = held.instance.identity
    number = "".join(texts(held.attributes, _NUMBER))
    return (
        identity.study_instance_uid,
        identity.series_instance_uid,
        int(number) if number.isdigit() else 0,
    )


def _described(members: list[_Held]) -> Attributes:
    return {**members[0].attributes, **_computed(members)}


def _distinct(tag: int) -> Callable[[list[_Held]], Iterable[str]]:
    return lambda members: sorted({v for held in members for v in texts(held.attributes, tag)})


def _number(tag: int) -> Callable[[list[_Held]], Iterable[str]]:
    return lambda members: (str(len(set(_distinct(tag)(members)))),)


_COMPUTED: Final = {
    tag_of(keyword): compute
    for keyword, compute in {
        "ModalitiesInStudy": _distinct(_MODALITY),
        "SOPClassesInStudy": _distinct(_SOP_CLASS),
        "NumberOfPatientRelatedStudies": _number(_STUDY),
        "NumberOfPatientRelatedSeries": _number(_SERIES),
        "NumberOfPatientRelatedInstances": _number(_INSTANCE),
        "NumberOfStudyRelatedSeries": _number(_SERIES),
        "NumberOfStudyRelatedInstances": _number(_INSTANCE),
        "NumberOfSeriesRelatedInstances": _number(_INSTANCE),
    }.items()
}


def _computed(members: list[_Held]) -> Attributes:
    return {tag: tuple(compute(members)) for tag, compute in _COMPUTED.items()}
