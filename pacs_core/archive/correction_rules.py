"""Rules for corrections: what may be changed, at which level, and to what."""

from typing import Final

from pacs_core.contracts import (
    ISSUER_OF_PATIENT_ID,
    PATIENT_ID,
    CorrectionError,
    EntityPath,
    Level,
)
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    Changes,
    UnencodableValue,
    check_changes,
    encode_attributes,
    keyword_of,
    parse_attributes,
    tag_of,
    vm_of,
    vr_of,
)
from pacs_core.dimse import is_valid_uid
from pacs_core.imaging import IMAGE_TAGS

STUDY: Final = tag_of("StudyInstanceUID")
SERIES: Final = tag_of("SeriesInstanceUID")

_NAMES: Final = {
    tag_of("SOPClassUID"): "it says what the instance is",
    tag_of("SOPInstanceUID"): "it names the instance that is stored, and that others refer to",
    tag_of("OriginalAttributesSequence"): "what is corrected is added to it",
}
_LEVELS: Final = {
    STUDY: (Level.STUDY, "all studies of a patient would become one"),
    SERIES: (Level.SERIES, "all series in it would become one"),
}
"""The highest level at which a UID may be changed, and what it would mean above."""

_UTF_8: Final = "ISO_IR 192"
_LONGEST: Final = 4 << 20
"""Characters of all changes: every process keeps them in memory."""

_REASONS: Final = ("COERCE", "CORRECT", "ADD")
"""Defined terms of Reason for the Attribute Modification (PS3.3 Table C.12.1.1.9-1)."""


def check_correction(entity: EntityPath, changes: Changes, reason: str) -> None:
    """Check that a correction can be made.

    Raises
    ------
    CorrectionError
        It cannot.
    """
    if reason not in _REASONS:
        raise CorrectionError(f"{reason!r} is no reason: give one of {', '.join(_REASONS)}")
    if not changes:
        raise CorrectionError("nothing is to be changed")
    for tag, values in changes.items():
        if tag in _NAMES:
            raise CorrectionError(f"{keyword_of(tag)} cannot be changed: {_NAMES[tag]}")
        if tag in IMAGE_TAGS:
            raise CorrectionError(f"{keyword_of(tag)} cannot be changed: it describes Pixel Data")
        if tag in _LEVELS:
            _check_uid(tag, values, entity)
        if values is not None and len(values) > 1 and vr_of(tag) != "SQ" and vm_of(tag) == "1":
            raise CorrectionError(f"{keyword_of(tag)} has one value, not {len(values)}")
    try:
        check_changes(changes)
    except UnencodableValue as error:
        raise CorrectionError(str(error)) from error
    _check_values(changes)
    if len(repr(changes)) > _LONGEST:
        raise CorrectionError(f"the changes are longer than {_LONGEST >> 20} MiB")
    if _changes_nothing(entity, changes):
        raise CorrectionError(f"{entity} is called so already: nothing would change")


def normalize_changes(changes: Changes) -> Changes:
    """Return changes that can be made with values as a parser would read them, padding removed.

    An index keeps them beside those that it has of datasets: ``"P2 "`` is the patient ``"P2"``.
    """
    given = {tag: values for tag, values in changes.items() if values is not None}
    encoded = encode_attributes(given, EXPLICIT_VR_LITTLE_ENDIAN, (_UTF_8,))
    read = parse_attributes(encoded, EXPLICIT_VR_LITTLE_ENDIAN, max_length=2 * _LONGEST)
    return {tag: None if changes[tag] is None else read.get(tag, ()) for tag in changes}


def _check_uid(tag: int, values: tuple[object, ...] | None, entity: EntityPath) -> None:
    highest, meaning = _LEVELS[tag]
    if entity.level.depth < highest.depth:
        raise CorrectionError(
            f"{keyword_of(tag)} cannot be changed at level {entity.level.value}: {meaning}"
        )
    if not values or len(values) > 1 or not is_valid_uid(str(values[0])):
        raise CorrectionError(f"{keyword_of(tag)} needs a UID (PS3.5 §9.1)")


def _check_values(changes: Changes) -> None:
    """Check values against their VR, as strict as pydicom is (PS3.5 §6.2)."""
    from pydicom.config import RAISE
    from pydicom.valuerep import validate_value

    pending = [(tag, values) for tag, values in changes.items() if values]
    while pending:
        tag, values = pending.pop()
        for value in values:
            if not isinstance(value, str):
                pending += list(value.items())
                continue
            try:
                validate_value(vr_of(tag), value, RAISE)
            except ValueError as error:
                raise CorrectionError(f"{keyword_of(tag)}: {error}") from error


def _changes_nothing(entity: EntityPath, changes: Changes) -> bool:
    named = {
        PATIENT_ID: entity.patient_id,
        ISSUER_OF_PATIENT_ID: entity.issuer_of_patient_id,
        STUDY: entity.study_instance_uid,
        SERIES: entity.series_instance_uid,
    }
    if not entity.patient_id:
        del named[ISSUER_OF_PATIENT_ID], named[PATIENT_ID]
    return all(
        tag in named and (values or ("",)) == (named[tag],) for tag, values in changes.items()
    )
