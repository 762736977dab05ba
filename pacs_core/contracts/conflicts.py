"""Conflicts: what the instances of an archive say that cannot all be true.

Nothing of it keeps an instance out, and nothing is mended by guessing. Entities are kept by their
whole path, so that a UID used twice never mixes two of them, and each conflict is reported.
"""

from collections.abc import Sequence
from enum import Enum

from attrs import field, frozen


class ConflictKind(Enum):
    """How instances contradict each other."""

    PATIENT = "patient"
    """Studies of one Patient ID and issuer have another name, birth date or sex."""
    STUDY = "study"
    """One Study Instance UID has instances of several patients."""
    SERIES = "series"
    """One Series Instance UID is in several studies."""
    INSTANCE = "instance"
    """One SOP Instance UID is in several studies."""
    STUDY_ATTRIBUTE = "study-attribute"
    """Instances of one study have another value of an attribute of the patient or study."""
    SERIES_ATTRIBUTE = "series-attribute"
    """Instances of one series have another value of an attribute of the series."""


def _sort_values(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(values))


@frozen
class Conflict:
    """One conflict.

    Attributes
    ----------
    kind : ConflictKind
    uid : str
        What it is about: a Patient ID, or a UID.
    values : tuple of str
        What contradicts, sorted: Study Instance UIDs for a series or an instance, Patient IDs for
        a study, values for an attribute. A Patient ID is followed by its issuer, if it has one,
        after ``^^^`` as in HL7.
    attribute : str
        Keyword of the attribute, where the conflict is about one.
    study_instance_uid : str
        Study of the series whose attribute it is.
    """

    kind: ConflictKind
    uid: str
    values: tuple[str, ...] = field(converter=_sort_values)
    attribute: str = ""
    study_instance_uid: str = ""

    def __str__(self) -> str:
        where = f" of study {self.study_instance_uid}" if self.study_instance_uid else ""
        values = ", ".join(value or "(none)" for value in self.values)
        attribute = f" {self.attribute}" if self.attribute else ""
        return f"{self.kind.value}  {self.uid or '(none)'}{where}{attribute}: {values}"


def patient_name_of(patient_id: str, issuer: str) -> str:
    """Return how conflicts name a patient: the Patient ID, and its issuer where there is one."""
    return f"{patient_id}^^^{issuer}" if issuer else patient_id
