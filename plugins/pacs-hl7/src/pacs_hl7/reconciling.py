"""Reconciliation of patients: the archive's corrections, and records of other plugins.

How it works: a merge is a correction of the prior identifier, made in advance, and a change of all
records about it. What it has changed is noted as effects, from last to first the way back. Two
merges that contradict each other are not both heeded: who is right, only a person can say.

A link leaves both patients what they are: of each goes out that the other's identifier is theirs as
well (Other Patient IDs Sequence).
"""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Final

from attrs import define, field

from pacs_core.api.streams import closing
from pacs_core.contracts import (
    ISSUER_OF_PATIENT_ID,
    PATIENT_ID,
    Archive,
    Correction,
    CorrectionNotFoundError,
    EntityPath,
    InstanceNotFoundError,
    Level,
    Node,
    Origin,
    PatientRecords,
    Query,
    SingleValue,
)
from pacs_core.dataset import Attributes, Changes, texts
from pacs_hl7.interface import ConflictKind, Effect
from pacs_hl7.messages import Fault, MessageError
from pacs_hl7.patients import OTHER_IDS, PatientUpdate, other_id

_MOST_MERGES: Final = 1000
"""One after the other, that are followed."""


class ConflictError(MessageError):
    """A message contradicts what is known; its text says how, and what to do."""

    def __init__(self, kind: ConflictKind, text: str, fault: Fault = Fault.DUPLICATE_KEY) -> None:
        super().__init__(text, fault)
        self.kind = kind


@define
class Work:
    """What a message has done so far: in words, and as effects."""

    said: list[str] = field(factory=list)
    effects: list[Effect] = field(factory=list)
    conflict: ConflictKind | None = None


@define(eq=False)
class Reconciler:
    """Has patients be what a message says.

    Parameters
    ----------
    node : Node
    origin : Origin
        On whose behalf.
    comment : str
        That corrections have: kind and control ID of the message.
    work : Work
        Noted there.
    """

    node: Node
    origin: Origin
    comment: str
    work: Work

    @property
    def _archive(self) -> Archive:
        return self.node.archive.on_behalf_of(self.origin)

    async def follow(self, update: PatientUpdate) -> None:
        """Update or merge a patient.

        Raises
        ------
        ConflictError, CorrectionError
        """
        instances, records = 0, 0
        if not update.is_merge:
            if changes := await self._differing(update.entity, update.changes):
                await self._correct(update.entity, changes)
        elif await self._is_new(update.entity, update.target):
            instances = await self._correct(update.entity, update.changes, in_advance=True)
            records = await self._change_records(update)
            if not (instances or records):
                self.work.conflict = ConflictKind.UNKNOWN_PATIENT
            return
        await self._change_records(update)

    async def link(self, pairs: Iterable[tuple[EntityPath, EntityPath]]) -> None:
        """Have what goes out of each patient say that the other identifier is theirs too."""
        for one, other in _both_ways(pairs):
            if not await self._links(one, other):
                await self._correct(one, {OTHER_IDS: (other_id(other),)}, in_advance=True)

    async def unlink(self, pairs: Iterable[tuple[EntityPath, EntityPath]]) -> None:
        """Take links back.

        Raises
        ------
        ConflictError
            There is none.
        """
        pairs = list(pairs)
        numbers = [link.number for pair in _both_ways(pairs) for link in await self._links(*pair)]
        if not numbers:
            one, other = pairs[0]
            text = f"{one} and {other} are not linked"
            raise ConflictError(ConflictKind.NOT_LINKED, text, Fault.UNKNOWN_KEY)
        for number in numbers:
            report = await self._archive.revert(number, self.origin, comment=self.comment)
            self.work.said.append(f"correction {number} taken back: {report.instances}")

    async def take_back(self, effects: Iterable[Effect]) -> None:
        """Take back what messages have done, the last first."""
        kinds = {each.records_name: each for each in self._all_records}
        for effect in reversed(list(effects)):
            if effect.correction:
                await self._revert(effect.correction)
            elif effect.records in kinds and effect.patient is not None:
                restored = await _restore(kinds[effect.records], effect.patient, effect.before)
                self.work.said.append(f"{effect.records}: {restored} as before")

    @property
    def _all_records(self) -> list[PatientRecords]:
        return self.node.capabilities.find_all(PatientRecords)

    async def _revert(self, number: int) -> None:
        try:
            report = await self._archive.revert(number, self.origin, comment=self.comment)
        except CorrectionNotFoundError:
            self.work.said.append(f"correction {number} was taken back before")
        else:
            self.work.said.append(f"correction {number} taken back: {report.instances}")

    async def _is_new(self, prior: EntityPath, target: EntityPath) -> bool:
        """Tell whether a merge has not been made yet; raises if it contradicts another."""
        if prior == target:
            text = f"{prior} is to be merged with itself"
            raise ConflictError(ConflictKind.ITSELF, text)
        merges: dict[EntityPath, Correction] = {}
        async with closing(self._archive.corrections()) as log:
            async for correction in log:
                if _is_of_patient(correction) and PATIENT_ID in correction.changes:
                    merges[correction.entity] = correction
        last = target
        for _ in range(_MOST_MERGES):
            if last not in merges:
                break
            last = _target(merges[last])
            if last == prior:
                text = f"{target} was merged into {prior} before: undo that first"
                raise ConflictError(ConflictKind.CYCLE, text)
        for patient in (prior, target):
            merged = merges.get(patient)
            if merged is None:
                continue
            into = _target(merged)
            if patient == prior and into == target:
                if merged.comment == self.comment:
                    # This message's own, from before the node was killed, or of its replay.
                    self.work.effects.append(Effect(merged.number))
                    self.work.said.append(f"correction {merged.number} was made before")
                return False
            text = (
                f"{patient} was merged into {into} by correction {merged.number}: name {into}, or "
                "undo that first"
            )
            raise ConflictError(ConflictKind.MERGED, text)
        return True

    async def _links(self, one: EntityPath, other: EntityPath) -> list[Correction]:
        wanted = {OTHER_IDS: (other_id(other),)}
        async with closing(self._archive.corrections(one)) as log:
            return [
                each
                async for each in log
                if _is_of_patient(each) and each.entity == one and each.changes == wanted
            ]

    async def _correct(
        self, entity: EntityPath, changes: Changes, *, in_advance: bool = False
    ) -> int:
        try:
            report = await self._archive.update(
                entity,
                changes,
                self.origin,
                reason="COERCE",
                comment=self.comment,
                in_advance=in_advance,
            )
        except InstanceNotFoundError:
            return 0
        number = report.correction.number
        self.work.effects.append(Effect(number))
        self.work.said.append(f"correction {number}: {report.instances} of {entity}")
        return report.instances

    async def _change_records(self, update: PatientUpdate) -> int:
        count = 0
        patient = update.target if update.is_merge else update.entity
        for records in self._all_records:
            name = records.records_name
            before = await records.change_patient(update.entity, update.changes)
            if before:
                count += len(before)
                self.work.effects.append(Effect(records=name, patient=patient, before=before))
                self.work.said.append(f"{name}: {len(before)} of {update.entity}")
        return count

    async def _differing(self, entity: EntityPath, changes: Changes) -> Changes:
        """Return what of changes is not so already in some study; feeds repeat themselves."""
        query = Query(
            Level.STUDY,
            (SingleValue(PATIENT_ID, entity.patient_id),),
            frozenset({*changes, ISSUER_OF_PATIENT_ID}),
        )
        differing: set[int] = set()
        async with closing(self.node.archive.search(query)) as found:
            async for study in found:
                issuer = "".join(texts(study, ISSUER_OF_PATIENT_ID)[:1])
                if issuer == entity.issuer_of_patient_id:
                    differing |= {
                        tag
                        for tag, values in changes.items()
                        if texts(study, tag) != tuple(map(str, values or ()))
                    }
        return {tag: values for tag, values in changes.items() if tag in differing}


def _both_ways(
    pairs: Iterable[tuple[EntityPath, EntityPath]],
) -> list[tuple[EntityPath, EntityPath]]:
    return [each for one, other in pairs for each in ((one, other), (other, one))]


def _is_of_patient(correction: Correction) -> bool:
    return correction.is_in_force and correction.entity.level is Level.PATIENT


def _target(merge: Correction) -> EntityPath:
    names = (merge.entity.patient_id, merge.entity.issuer_of_patient_id)
    identifier, issuer = (
        str((merge.changes[tag] or ("",))[0]) if tag in merge.changes else former
        for tag, former in zip((PATIENT_ID, ISSUER_OF_PATIENT_ID), names, strict=True)
    )
    return EntityPath(identifier, issuer)


async def _restore(
    records: PatientRecords, patient: EntityPath, before: Mapping[str, Attributes]
) -> int:
    """Let records say what they said before; return how many."""
    restored = 0
    ordered = sorted(before.items(), key=lambda each: repr(sorted(each[1].items())))
    for _, group in groupby(ordered, key=lambda each: repr(sorted(each[1].items()))):
        same = list(group)
        keys = [key for key, _ in same]
        restored += len(await records.change_patient(patient, same[0][1], keys=keys))
    return restored
