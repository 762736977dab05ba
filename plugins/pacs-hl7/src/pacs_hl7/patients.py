"""Patients, as ADT messages tell of them (IHE RAD TF-2 4.12, Patient Update).

How it works: a message says what somebody is called, under each identifier that PID-3 has. The
archive's corrections do the rest: what is stored stays, and all doors hand out what is right. So a
merge (A40) is the correction of the prior identifier to the one that remains. It is made in
advance, since images under the prior one may yet come; what patients are called is not, because a
hospital has many who never come here.

A field that is empty says nothing, two quotation marks say that there is no value
(HL7 V2.x 2.5.3).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

from attrs import frozen

from pacs_core.contracts import EntityPath
from pacs_core.dataset import Attributes, Changes, Value, tag_of
from pacs_hl7.messages import Fault, Message, MessageError
from pacs_hl7.persons import read_person

UPDATES: Final = frozenset({"A01", "A02", "A03", "A04", "A05", "A08", "A28", "A31"})
"""Events whose messages tell what a patient is called."""
MERGES: Final = frozenset({"A18", "A34", "A36", "A39", "A40", "A47"})
"""Events that merge patients, or change an identifier: MRG has the one that is no more."""
LINK: Final = "A24"
UNLINK: Final = "A37"
"""Events of patients who both remain: each has a PID segment."""

_NAME, _BIRTH, _SEX = tag_of("PatientName"), tag_of("PatientBirthDate"), tag_of("PatientSex")
_ID, _ISSUER = tag_of("PatientID"), tag_of("IssuerOfPatientID")
OTHER_IDS: Final = tag_of("OtherPatientIDsSequence")
_TYPE: Final = tag_of("TypeOfPatientID")
_SEXES: Final = {"F": "F", "M": "M", "O": "O", "A": "O", "N": "O", "U": ""}


@frozen
class PatientUpdate:
    """What a patient shall be from now on.

    Attributes
    ----------
    entity : EntityPath
        As the archive knows them.
    changes : Changes
    is_merge : bool
        Whether they get another identifier.
    """

    entity: EntityPath
    changes: Changes
    is_merge: bool = False

    @property
    def target(self) -> EntityPath:
        """Whom they are merged into."""
        identifier, issuer = ((self.changes.get(tag) or ("",))[0] for tag in (_ID, _ISSUER))
        return EntityPath(str(identifier), str(issuer))


def read_updates(message: Message, domains: Mapping[str, str]) -> Iterator[PatientUpdate]:
    """Iterate over what a message says, in the order in which it is to be done.

    Parameters
    ----------
    message : Message
        Of an event in :data:`UPDATES` or :data:`MERGES`.
    domains : mapping of str to str
        Issuer by assigning authority.

    Raises
    ------
    MessageError
        An identifier is missing.
    """
    groups = _merges(message) if message.trigger in MERGES else {1: []}
    for occurrence, merges in groups.items():
        patients = read_identifiers(message, domains, occurrence)
        demographics = _demographics(message, occurrence)
        if message.trigger in MERGES:
            for prior in _read_priors(message, domains, merges):
                identity = _identity_of(patients, prior)
                yield PatientUpdate(prior, {**demographics, **identity}, is_merge=True)
        if demographics:
            for patient in patients:
                yield PatientUpdate(patient, demographics)


def _merges(message: Message) -> dict[int, list[int]]:
    """Return which MRG segments belong to which PID: those that follow it (HL7 V2.x 3.3.40)."""
    if message.count("PID") < 2:
        return {1: list(range(1, message.count("MRG") + 1))}
    groups: dict[int, list[int]] = {}
    merges = 0
    for name in message.segments:
        if name == "PID":
            groups[len(groups) + 1] = []
        elif name == "MRG":
            merges += 1
            if groups:
                groups[len(groups)].append(merges)
    return groups


def _read_priors(
    message: Message, domains: Mapping[str, str], merges: Iterable[int]
) -> list[EntityPath]:
    """Return the identifiers that are no more."""
    priors = [
        prior
        for occurrence in merges
        for prior in _identifiers(message, "MRG", 1, domains, occurrence)
    ]
    if not priors:
        raise MessageError("MRG-1 has no patient identifier", Fault.REQUIRED_FIELD_MISSING)
    return priors


def _identity_of(patients: Sequence[EntityPath], prior: EntityPath) -> Changes:
    """Return the identity of those that remain which is of the domain of a prior identifier."""
    # Some feeds list in PID-3 also the identifier that is no more.
    others = [each for each in patients if each != prior] or patients
    same = (each for each in others if each.issuer_of_patient_id == prior.issuer_of_patient_id)
    target = next(same, others[0])
    return {
        _ID: (target.patient_id,),
        _ISSUER: _values(target.issuer_of_patient_id),
        OTHER_IDS: (other_id(prior),),
    }


def read_links(message: Message, domains: Mapping[str, str]) -> list[tuple[EntityPath, EntityPath]]:
    """Return the identifiers that a message links or unlinks, in pairs.

    Raises
    ------
    MessageError
        It names no two patients.
    """
    first, second = (
        list(_identifiers(message, "PID", 3, domains, occurrence)) for occurrence in (1, 2)
    )
    pairs = [(one, other) for one in first for other in second if one != other]
    if not pairs:
        raise MessageError(
            "there are no two PID segments, each with an identifier in PID-3",
            Fault.REQUIRED_FIELD_MISSING,
        )
    return pairs


def read_identifiers(
    message: Message, domains: Mapping[str, str], occurrence: int = 1
) -> list[EntityPath]:
    """Return whom a message is about, by each identifier in PID-3.

    Raises
    ------
    MessageError
        There is none.
    """
    patients = list(_identifiers(message, "PID", 3, domains, occurrence))
    if not patients:
        raise MessageError("PID-3 has no patient identifier", Fault.REQUIRED_FIELD_MISSING)
    return patients


def other_id(patient: EntityPath) -> Attributes:
    """Return an identifier as an item of Other Patient IDs Sequence (PS3.3 Table C.7-1)."""
    issuer = _values(patient.issuer_of_patient_id)
    item: Attributes = {_ID: (patient.patient_id,), _TYPE: ("TEXT",)}
    return {**item, _ISSUER: issuer} if issuer else item


def read_patient(message: Message, domains: Mapping[str, str]) -> Attributes:
    """Return who a message is about, by the first identifier in PID-3.

    Raises
    ------
    MessageError
        There is none.
    """
    patient = read_identifiers(message, domains)[0]
    known = {tag: values for tag, values in _demographics(message).items() if values}
    issuer = _values(patient.issuer_of_patient_id)
    return {**known, _ID: (patient.patient_id,), **({_ISSUER: issuer} if issuer else {})}


def _identifiers(
    message: Message,
    segment: str,
    number: int,
    domains: Mapping[str, str],
    occurrence: int = 1,
) -> Iterator[EntityPath]:
    for repetition in message.repetitions(segment, number, occurrence):
        get = partial(message.get, segment, number, repetition=repetition, occurrence=occurrence)
        identifier = get()
        if not identifier:
            continue
        names = [get(component=4, part=part) for part in (1, 2)]
        issuer = next((domains[name] for name in names if name in domains), names[0] or names[1])
        yield EntityPath(identifier, issuer)


def _demographics(message: Message, occurrence: int = 1) -> Changes:
    changes: dict[int, tuple[Value, ...] | None] = {}
    if message.is_given("PID", 5, occurrence):
        changes[_NAME] = _values(read_person(message, "PID", 5, occurrence=occurrence))
    if message.is_given("PID", 7, occurrence):
        birth = message.get("PID", 7, occurrence=occurrence)[:8]
        # A year alone is no date of DICOM's.
        changes[_BIRTH] = _values(birth if len(birth) == 8 and birth.isdigit() else "")
    if message.is_given("PID", 8, occurrence):
        sex = message.get("PID", 8, occurrence=occurrence).upper()
        changes[_SEX] = _values(_SEXES.get(sex, ""))
    return changes


def _values(text: str) -> tuple[Value, ...]:
    return (text,) if text else ()
