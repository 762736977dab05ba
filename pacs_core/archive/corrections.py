"""The corrections in force, as a process knows them, and what they make of instances."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from attrs import evolve, frozen

from pacs_core.contracts import (
    ISSUER_OF_PATIENT_ID,
    PATIENT_ID,
    Correction,
    CorrectionLog,
    InstanceIdentity,
    InstanceRecord,
)
from pacs_core.dataset import (
    Attributes,
    Changes,
    Modification,
    change_attributes,
    tag_of,
    texts,
)

# Theory of operation
#
# The log is read once, and then what is new in it. Corrections are kept by what they are about, the
# patient or the study, so that an instance that arrives costs two look-ups, however many there are.
# They apply in the order of their numbers, each to what the one before has left: after patient A
# was merged into B, a correction of B holds for the instances of A as well.

_STUDY: Final = tag_of("StudyInstanceUID")
_SERIES: Final = tag_of("SeriesInstanceUID")

EXTENDED_TAGS: Final = frozenset({tag_of("OtherPatientIDsSequence")})
"""Sequences to which corrections add items: a patient who gets another identifier keeps those that
they were known by."""

CORRECTED_TAGS: Final = frozenset({PATIENT_ID, ISSUER_OF_PATIENT_ID})
"""What must be known of an instance, besides its UIDs, to tell which corrections apply to it."""


@frozen
class Corrected:
    """An instance as it is after all corrections.

    Attributes
    ----------
    identity : InstanceIdentity
    attributes : Attributes
    numbers : tuple of int
        Of the corrections that apply to it.
    """

    identity: InstanceIdentity
    attributes: Attributes
    numbers: tuple[int, ...] = ()

    def record(self, stored: InstanceRecord, wanted: frozenset[int]) -> InstanceRecord:
        """Return the record of an instance, given the one as it is stored."""
        instance = evolve(stored.instance, identity=self.identity, corrections=self.numbers)
        attributes = {tag: values for tag, values in self.attributes.items() if tag in wanted}
        return InstanceRecord(instance, attributes)


class Corrections:
    """What the log has, by what it is about.

    Parameters
    ----------
    log : CorrectionLog or None
        None if the index keeps none: then nothing is ever corrected.

    Attributes
    ----------
    number : int
        Of the last entry that is known.
    """

    def __init__(self, log: CorrectionLog | None) -> None:
        self._log = log
        self._forget()

    def _forget(self) -> None:
        self.number = 0
        self._entries: dict[int, Correction] = {}
        self._by_study: dict[str, list[int]] = {}
        self._by_patient: dict[tuple[str, str], list[int]] = {}

    @property
    def seen(self) -> int:
        """The number of the last entry of the log, as far as this process has seen."""
        return 0 if self._log is None else self._log.seen

    @property
    def is_current(self) -> bool:
        """Whether the log has nothing new, as far as this process has seen."""
        return self._log is None or self._log.seen == self.number

    @property
    def entries(self) -> Sequence[Correction]:
        """All that is known, in order."""
        return [self._entries[number] for number in sorted(self._entries)]

    async def refresh(self) -> None:
        """Read what is new in the log; all of it, if the index is another now."""
        if self._log is None:
            return
        found = await self._log.corrections(self.number)
        if self._log.seen < self.number:
            self._forget()
            found = await self._log.corrections()
        for correction in found:
            self.take(correction)

    def take(self, correction: Correction) -> None:
        """Take note of an entry of the log."""
        number = correction.number
        if number in self._entries:
            return
        self._entries[number] = correction
        self.number = max(self.number, number)
        if (reverted := self._entries.get(correction.reverts)) is not None:
            self._entries[correction.reverts] = evolve(reverted, reverted_by=number)
        if correction.reverts:
            return
        entity = correction.entity
        if entity.study_instance_uid:
            self._by_study.setdefault(entity.study_instance_uid, []).append(number)
        else:
            patient = (entity.patient_id, entity.issuer_of_patient_id)
            self._by_patient.setdefault(patient, []).append(number)

    def apply(self, identity: InstanceIdentity, attributes: Attributes) -> Corrected:
        """Return what is left of an instance, as it is stored, after all corrections."""
        corrected = Corrected(identity, attributes)
        while self._entries and (correction := self._next(corrected)) is not None:
            corrected = _correct(corrected, correction)
        return corrected

    def stored_identities(self, identity: InstanceIdentity) -> Iterable[InstanceIdentity]:
        """Return this identity, and those that corrections may have made it of.

        Read from the last correction to the first. Not every instance with such an identity has
        become this one: another condition of a correction may not hold for it.
        """
        found = {identity: None}
        for correction in reversed(self.entries):
            changes, entity = correction.changes, correction.entity
            if not (correction.is_in_force and changes.keys() & {_STUDY, _SERIES}):
                continue
            for each in list(found):
                series = each.series_instance_uid
                if (
                    each.study_instance_uid == _uid(changes, _STUDY, entity.study_instance_uid)
                    and series == _uid(changes, _SERIES, entity.series_instance_uid or series)
                    and entity.sop_instance_uid in ("", each.sop_instance_uid)
                ):
                    former = evolve(
                        each,
                        study_instance_uid=entity.study_instance_uid,
                        series_instance_uid=entity.series_instance_uid or series,
                    )
                    found[former] = None
        return found

    def _next(self, corrected: Corrected) -> Correction | None:
        """Return the first correction that applies after those that have been applied."""
        last = corrected.numbers[-1] if corrected.numbers else 0
        patient = tuple(
            "\\".join(texts(corrected.attributes, tag))
            for tag in (PATIENT_ID, ISSUER_OF_PATIENT_ID)
        )
        of_patient = self._by_patient.get((patient[0], patient[1]), ())
        of_study = self._by_study.get(corrected.identity.study_instance_uid, ())
        candidates = [
            number
            for number in (*of_patient, *of_study)
            if number > last
            and self._entries[number].is_in_force
            and self._entries[number].entity.holds(corrected.identity, corrected.attributes)
        ]
        return self._entries[min(candidates)] if candidates else None

    def knows(self, numbers: Iterable[int]) -> bool:
        """Tell whether all these entries are known."""
        return all(number in self._entries for number in numbers)

    def of(self, numbers: Iterable[int]) -> "Iterator[Correction]":
        """Iterate over corrections; raises `KeyError` if one is not known."""
        return (self._entries[number] for number in numbers)


NO_CORRECTIONS: Final = Corrections(None)


def _correct(corrected: Corrected, correction: Correction) -> Corrected:
    attributes = change_attributes(corrected.attributes, correction.changes, EXTENDED_TAGS)
    identity = corrected.identity
    identity = evolve(
        identity,
        study_instance_uid=_uid(correction.changes, _STUDY, identity.study_instance_uid),
        series_instance_uid=_uid(correction.changes, _SERIES, identity.series_instance_uid),
    )
    return Corrected(identity, attributes, (*corrected.numbers, correction.number))


def _uid(changes: Changes, tag: int, former: str) -> str:
    values = changes.get(tag)
    return str(values[0]) if values else former


def overlay(corrections: Iterable[Correction], system: str) -> tuple[Changes, Modification | None]:
    """Return what corrections change together, and what is to be said of it in what goes out.

    Parameters
    ----------
    corrections : iterable of Correction
        In the order of their numbers.
    system : str
        Modifying System (0400,0563).
    """
    given: Attributes = {}
    removed: dict[int, None] = {}
    last: Correction | None = None
    for correction in corrections:
        given = change_attributes(given, correction.changes, EXTENDED_TAGS)
        removed |= {tag: None for tag, values in correction.changes.items() if values is None}
        last = correction
    changes: Changes = {**removed, **given}
    if last is None:
        return changes, None
    return changes, Modification(last.time, system, reason=last.reason)
