"""The contract of those who keep records about patients beside the archive, such as a worklist.

When patients are merged, or are called otherwise, what is stored goes out corrected. Records of
plugins are not in the archive, so whoever hears of it (such as an HL7 interface) asks for all
components with this interface, by :meth:`Capabilities.find_all`, and has each change its own.
"""

from abc import abstractmethod
from collections.abc import Collection, Mapping
from typing import Final

from pacs_core.contracts.archive import Archive
from pacs_core.contracts.component import Component
from pacs_core.contracts.corrections import (
    ISSUER_OF_PATIENT_ID,
    PATIENT_ID,
    EntityPath,
)
from pacs_core.dataset import Attributes, Changes, tag_of, texts
from pacs_core.query.model import Level

PATIENT_TAGS: Final = frozenset(
    {
        PATIENT_ID,
        ISSUER_OF_PATIENT_ID,
        tag_of("PatientName"),
        tag_of("PatientBirthDate"),
        tag_of("PatientSex"),
    }
)
"""What records say of patients, and is changed with them."""


class PatientRecords(Component):
    """Keeps records about patients.

    Interfaces of capabilities derive from it: each capability is found under its own.
    """

    @property
    @abstractmethod
    def records_name(self) -> str:
        """What they are, such as ``worklist``."""

    @abstractmethod
    async def change_patient(
        self, patient: EntityPath, changes: Changes, *, keys: Collection[str] | None = None
    ) -> Mapping[str, Attributes]:
        """Change what all records say of a patient, whatever state they are in; durably.

        Parameters
        ----------
        patient : EntityPath
            As they are called now.
        changes : Changes
            Of :data:`PATIENT_TAGS`.
        keys : collection of str, optional
            Only these records.

        Returns
        -------
        mapping of str to Attributes
            What the attributes were that have changed, by key of the record: with that the change
            can be undone. Records that are so already are left alone.
        """


def change_record(
    attributes: Attributes, patient: EntityPath, changes: Changes
) -> tuple[Attributes, Attributes] | None:
    """Return what differed, and a record with the changes; None if it stays as it is.

    Parameters
    ----------
    attributes : Attributes
        The record.
    patient : EntityPath
        Whose records are to be changed.
    changes : Changes
    """
    if patient_of(attributes) != patient:
        return None
    wanted = {tag: tuple(map(str, v or ())) for tag, v in changes.items() if tag in PATIENT_TAGS}
    before = {
        tag: texts(attributes, tag)
        for tag, values in wanted.items()
        if texts(attributes, tag) != values
    }
    if not before:
        return None
    return before, {**attributes, **{tag: wanted[tag] for tag in before}}


def patient_of(attributes: Attributes) -> EntityPath | None:
    """Return whom attributes are about; None if they do not say."""
    name, issuer = (
        "".join(texts(attributes, tag)[:1]) for tag in (PATIENT_ID, ISSUER_OF_PATIENT_ID)
    )
    return EntityPath(name, issuer) if name.strip() else None


async def correct_patient(attributes: Attributes, archive: Archive | None) -> Attributes:
    """Return a new record, about whom it is after the corrections in force of its patient.

    A modality that was given an identifier before patients were merged goes on using it.

    Parameters
    ----------
    attributes : Attributes
    archive : Archive or None
        Whose log of corrections it is.
    """
    patient = patient_of(attributes)
    if archive is None or patient is None:
        return attributes
    try:
        async for correction in archive.corrections():
            if (
                correction.is_in_force
                and correction.entity.level is Level.PATIENT
                and correction.entity == patient
                and (changed := change_record(attributes, patient, correction.changes))
            ):
                attributes = changed[1]
                patient = patient_of(attributes) or patient
    except LookupError:
        # There is no archive, and so no log.
        return attributes
    return attributes
