"""Orders by hand, from a command or a form: entries with one step, checked before use."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from pacs_core.dataset import Attributes, MutableAttributes, keyword_of, tag_of, vr_of
from pacs_core.dimse import is_valid_uid
from pacs_sop_worklist.steps import (
    ACCESSION,
    MODALITY,
    PATIENT_ID,
    PROCEDURE_ID,
    SEQUENCE,
    START_DATE,
    START_TIME,
    STATION,
    STEP_ID,
    STUDY_UID,
    InvalidStepError,
)

PATIENT_NAME: Final = tag_of("PatientName")
BIRTH_DATE: Final = tag_of("PatientBirthDate")
SEX: Final = tag_of("PatientSex")
DESCRIPTION: Final = tag_of("ScheduledProcedureStepDescription")
_REQUESTED: Final = tag_of("RequestedProcedureDescription")


def make_order(
    patient_id: str,
    patient_name: str,
    modality: str,
    start: datetime,
    *,
    stations: tuple[str, ...] = (),
    accession: str = "",
    description: str = "",
    birth_date: str = "",
    sex: str = "",
    study: str = "",
    procedure: str = "",
    step: str = "1",
) -> Attributes:
    """Return the entry of an order with one step.

    Parameters
    ----------
    patient_id, patient_name, modality : str
        As in DICOM.
    start : datetime
        As the clocks of the modalities have it.
    stations : tuple of str
        AE titles.
    accession, description, birth_date, sex : str
    study : str
        Study Instance UID; a new one if it is empty.
    procedure : str
        Requested Procedure ID; the accession number, or the end of the study's UID, if it is empty.
    step : str
        Scheduled Procedure Step ID.

    Raises
    ------
    InvalidStepError
        A value is not what its attribute can hold.
    """
    from pydicom.uid import generate_uid

    uid = study or str(generate_uid())
    own: MutableAttributes = {
        MODALITY: (modality,),
        START_DATE: (start.strftime("%Y%m%d"),),
        START_TIME: (start.strftime("%H%M%S"),),
        STEP_ID: (step,),
        STATION: stations,
        DESCRIPTION: (description,),
    }
    entry: MutableAttributes = {
        PATIENT_ID: (patient_id,),
        PATIENT_NAME: (patient_name,),
        BIRTH_DATE: (birth_date,),
        SEX: (sex,),
        ACCESSION: (accession,),
        STUDY_UID: (uid,),
        PROCEDURE_ID: (procedure or accession or uid[-16:],),
        _REQUESTED: (description,),
    }
    for attributes in (entry, own):
        _check(attributes)
    return {**entry, SEQUENCE: (own,)}


def _check(attributes: Attributes) -> None:
    for tag, values in attributes.items():
        for value in values:
            if value and not (isinstance(value, str) and _can_hold(vr_of(tag), value)):
                raise InvalidStepError(f"{keyword_of(tag)} cannot be {value!r:.80}")


def _can_hold(vr: str, value: str) -> bool:
    """Tell whether a value is one of a VR (PS3.5 Table 6.2-1)."""
    return value.isprintable() and "\\" not in value and _HOLDS[vr](value)


def _is_date(value: str) -> bool:
    try:
        datetime.strptime(value, "%Y%m%d")
    except ValueError:
        return False
    return len(value) == 8


_HOLDS: Final[Mapping[str, Callable[[str], bool]]] = {
    "AE": lambda value: value.isascii() and bool(value.strip()) and len(value) <= 16,
    "CS": lambda value: re.fullmatch(r"[A-Z0-9_ ]{1,16}", value) is not None,
    "DA": _is_date,
    "LO": lambda value: len(value) <= 64,
    "PN": lambda value: all(len(group) <= 64 for group in value.split("=")),
    "SH": lambda value: len(value) <= 16,
    "TM": lambda value: True,
    "UI": is_valid_uid,
}
