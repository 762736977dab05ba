"""Choice of the relevant priors of a patient, as a pure function of what archives find."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final

from attrs import frozen

from pacs_core.dataset import Attributes, tag_of, texts
from pacs_lifecycle.config import PrefetchConfig
from pacs_lifecycle.rules import read_date

_PATIENT: Final = tag_of("PatientID")
_ISSUER: Final = tag_of("IssuerOfPatientID")
_BIRTH: Final = tag_of("PatientBirthDate")
_STUDY: Final = tag_of("StudyInstanceUID")
_DATE: Final = tag_of("StudyDate")
_MODALITIES: Final = tag_of("ModalitiesInStudy")
_NUMBER: Final = tag_of("NumberOfStudyRelatedInstances")

STUDY_KEYS: Final = (_PATIENT, _ISSUER, _BIRTH, _STUDY, _DATE, _MODALITIES, _NUMBER)


@frozen
class Order:
    """What priors are wanted for.

    Attributes
    ----------
    patient_id, issuer, birth_date : str
        Of the patient; the latter two empty if they are not known.
    study : str
        Study Instance UID of what is ordered, which is no prior.
    modality, body_part : str
        Empty if they are not known.
    """

    patient_id: str
    issuer: str = ""
    birth_date: str = ""
    study: str = ""
    modality: str = ""
    body_part: str = ""


@frozen
class Prior:
    """A study that an archive has of a patient.

    Attributes
    ----------
    uid : str
    day : date or None
    modalities : frozenset of str
        Empty if the archive does not say.
    instances : int
        How many the archive has; 0 if it does not say.
    """

    uid: str
    day: date | None
    modalities: frozenset[str]
    instances: int


def is_searchable(patient_id: str) -> bool:
    """Tell whether a Patient ID matches but itself: no wild card, and no list (PS3.4 C.2.2.2)."""
    return bool(patient_id.strip()) and not set(patient_id) & set("*?\\")


def read_prior(found: Attributes, order: Order) -> Prior | None:
    """Return the study that an archive has found; None if it is another patient's.

    Archives of several sites may give one Patient ID to two patients: where both sides have an
    issuer, or a birth date, it must be the same.
    """

    def first(tag: int) -> str:
        return ("".join(texts(found, tag)[:1])).strip()

    if first(_PATIENT) != order.patient_id or not first(_STUDY):
        return None
    for theirs, ours in ((first(_ISSUER), order.issuer), (first(_BIRTH), order.birth_date)):
        if theirs and ours and theirs != ours:
            return None
    number = first(_NUMBER)
    modalities = frozenset(each.strip() for each in texts(found, _MODALITIES) if each.strip())
    instances = int(number) if number.isascii() and number.isdigit() else 0
    return Prior(first(_STUDY), read_date(first(_DATE)), modalities, instances)


def choose_priors(
    rule: PrefetchConfig, order: Order, found: Iterable[Prior], today: date
) -> Sequence[Prior]:
    """Return relevant priors, the latest first; how many are taken is not counted yet.

    Of a study that several archives have, the one with the most instances is taken.
    """
    relevant: dict[str, Prior] = {}
    for prior in found:
        known = relevant.get(prior.uid)
        if _is_relevant(rule, order, prior, today) and (
            known is None or known.instances < prior.instances
        ):
            relevant[prior.uid] = prior
    return sorted(
        relevant.values(), key=lambda each: (each.day or date.min, each.uid), reverse=True
    )


def _is_relevant(rule: PrefetchConfig, order: Order, prior: Prior, today: date) -> bool:
    if prior.uid == order.study:
        return False
    if rule.max_age and (prior.day is None or (today - prior.day).days > rule.max_age):
        return False
    if prior.modalities and rule.modalities and not prior.modalities & set(rule.modalities):
        return False
    return not (
        rule.same_modality
        and order.modality
        and prior.modalities
        and order.modality not in prior.modalities
    )
