"""Corrections: what the archive hands out otherwise than it was stored.

Stored bytes stay. A correction is an entry in a log: which entity it is about, which elements are
set or removed, who made it, when, and why. An instance goes out as it is after all corrections that
apply to it, one after another in the order of their numbers, each on what the one before has left.
So a correction also applies to what arrives later and bears the identity that it was made for.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final

from attrs import field, frozen

from pacs_core.contracts.instance import InstanceIdentity, InstancePath, Origin
from pacs_core.dataset import Attributes, Changes, tag_of, texts
from pacs_core.dimse import is_valid_uid
from pacs_core.query.model import Condition, Empty, Level, SingleValue

PATIENT_ID: Final = tag_of("PatientID")
ISSUER_OF_PATIENT_ID: Final = tag_of("IssuerOfPatientID")
_STUDY: Final = tag_of("StudyInstanceUID")
_SERIES: Final = tag_of("SeriesInstanceUID")
_INSTANCE: Final = tag_of("SOPInstanceUID")


class CorrectionError(ValueError):
    """A correction is refused; the message says which part of it, and why."""


class CorrectionNotFoundError(LookupError):
    """There is no correction with this number, or it is reverted already."""


class CorrectionExistsError(Exception):
    """The log has a correction with this number already."""


def _without_padding(text: str) -> str:
    return text.strip(" ")


@frozen
class EntityPath:
    """The whole path of a patient, study, series or instance.

    Attributes
    ----------
    patient_id, issuer_of_patient_id : str
        Together they name the patient: without an issuer, one who has none. If there is no Patient
        ID the study may be of any patient. Padding does not count.
    study_instance_uid, series_instance_uid, sop_instance_uid : str
        As far down as the entity is; an instance may be named without its series.

    Raises
    ------
    ValueError
        What is above is not named, or a UID is none.
    """

    patient_id: str = field(default="", converter=_without_padding)
    issuer_of_patient_id: str = field(default="", converter=_without_padding)
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    sop_instance_uid: str = ""

    def __attrs_post_init__(self) -> None:
        uids = (self.study_instance_uid, self.series_instance_uid, self.sop_instance_uid)
        if invalid := [uid for uid in uids if uid and not is_valid_uid(uid)]:
            raise ValueError(f"{invalid[0]!r} is not a UID")
        if not self.study_instance_uid and any(uids):
            raise ValueError("a series or an instance is named with its Study Instance UID")
        if not (self.patient_id or self.study_instance_uid):
            raise ValueError("an entity is named by a Patient ID or a Study Instance UID")
        if self.issuer_of_patient_id and not self.patient_id:
            raise ValueError("an Issuer of Patient ID without a Patient ID names nobody")

    @classmethod
    def of_instance(cls, path: InstancePath) -> "EntityPath":
        """Return the path of an instance."""
        return cls(
            study_instance_uid=path.study_instance_uid, sop_instance_uid=path.sop_instance_uid
        )

    @property
    def level(self) -> Level:
        """The level of the entity."""
        if self.sop_instance_uid:
            return Level.IMAGE
        if self.series_instance_uid:
            return Level.SERIES
        return Level.STUDY if self.study_instance_uid else Level.PATIENT

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What finds the entity in an index."""
        found: list[Condition] = []
        if self.patient_id:
            issuer = self.issuer_of_patient_id
            found.append(SingleValue(PATIENT_ID, self.patient_id))
            found.append(
                SingleValue(ISSUER_OF_PATIENT_ID, issuer) if issuer else Empty(ISSUER_OF_PATIENT_ID)
            )
        uids = {
            _STUDY: self.study_instance_uid,
            _SERIES: self.series_instance_uid,
            _INSTANCE: self.sop_instance_uid,
        }
        return (*found, *(SingleValue(tag, uid) for tag, uid in uids.items() if uid))

    def holds(self, identity: InstanceIdentity, attributes: Attributes) -> bool:
        """Tell whether an instance is the entity, or in it."""
        patient = (
            "\\".join(texts(attributes, PATIENT_ID)),
            "\\".join(texts(attributes, ISSUER_OF_PATIENT_ID)),
        )
        return (
            self.patient_id in ("", patient[0])
            and (not self.patient_id or self.issuer_of_patient_id == patient[1])
            and self.study_instance_uid in ("", identity.study_instance_uid)
            and self.series_instance_uid in ("", identity.series_instance_uid)
            and self.sop_instance_uid in ("", identity.sop_instance_uid)
        )

    def overlaps(self, other: "EntityPath") -> bool:
        """Tell whether an instance may be in both, as far as their names tell."""
        return all(
            not (mine and theirs) or mine == theirs
            for mine, theirs in (
                (self.patient_id, other.patient_id),
                (self.study_instance_uid, other.study_instance_uid),
                (self.series_instance_uid, other.series_instance_uid),
                (self.sop_instance_uid, other.sop_instance_uid),
            )
        )

    def __str__(self) -> str:
        patient = "^^^".join(filter(None, (self.patient_id, self.issuer_of_patient_id)))
        named = {
            "patient": patient,
            "study": self.study_instance_uid,
            "series": self.series_instance_uid,
            "instance": self.sop_instance_uid,
        }
        return ", ".join(f"{what} {name}" for what, name in named.items() if name)


@frozen
class Correction:
    """An entry of the log of corrections.

    Attributes
    ----------
    number : int
        From 1; later ones have greater numbers.
    time : float
        When it was made, in seconds since the epoch (UTC).
    entity : EntityPath
        What it is about, as that was called when it was made.
    changes : Changes
        What elements are set to, by tag; None removes one. Empty for an entry that reverts another.
    origin : Origin
        Who made it, and from where.
    reason : str
        ``COERCE``, ``CORRECT`` or ``ADD``, for Reason for the Attribute Modification (0400,0565).
    comment : str
        For people to read.
    reverts : int
        The number of the correction that this entry takes back; 0 if it takes back none.
    reverted_by : int
        The number of the entry that took this one back; 0 if it is in force. Not kept in the log:
        it follows from it.
    key : str
        Of the object in the store that keeps it.
    is_settled : bool
        Whether all instances that were there have been brought up to it.
    """

    number: int
    time: float
    entity: EntityPath
    changes: Changes
    origin: Origin
    reason: str = "CORRECT"
    comment: str = ""
    reverts: int = 0
    reverted_by: int = 0
    key: str = field(default="", eq=False)
    is_settled: bool = field(default=False, eq=False)

    @property
    def is_in_force(self) -> bool:
        """Whether it changes what goes out."""
        return not (self.reverts or self.reverted_by)


@frozen
class CorrectionReport:
    """What became of a correction.

    Attributes
    ----------
    correction : Correction
        As it is in the log; of a reversion, the entry that reverts.
    instances : int
        So many instances go out otherwise now.
    """

    correction: Correction
    instances: int


class CorrectionLog(ABC):
    """The log of corrections as an index keeps it.

    The log itself lies in the object store, so that it outlives the index; this is what every
    process looks at. What :meth:`add` has done when it returns is durable, and :meth:`Index.clear`
    removes it with all else. :meth:`Index.add` and :meth:`Index.replace` keep
    :attr:`StoredInstance.corrections` with the row.
    """

    @property
    @abstractmethod
    def seen(self) -> int:
        """The number of the last correction, as of the last change that this process made.

        Not less than it was in the transaction of any :meth:`Index.add` or :meth:`Index.replace`
        that has returned. Asked with every instance that arrives, so it must cost nothing.
        """

    @abstractmethod
    async def add(self, correction: Correction) -> None:
        """Add a correction, not settled.

        Raises
        ------
        CorrectionExistsError
            The number is taken.
        """

    @abstractmethod
    async def settle(self, number: int) -> None:
        """Note that a correction has been applied to all instances."""

    @abstractmethod
    async def corrections(self, after: int = 0) -> Sequence[Correction]:
        """Return the corrections with greater numbers, in order.

        Without :attr:`Correction.reverted_by`, which follows from all of them.
        """
