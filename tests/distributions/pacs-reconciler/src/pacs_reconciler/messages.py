"""HL7 v2 messages, as far as they tell who patients are: ADT^A08, ADT^A31 and ADT^A40.

A40 merges patients: what bears the identifier in MRG-1 shall bear that of PID-3 (IHE RAD-12).
"""

from attrs import frozen

from pacs_core.contracts import EntityPath
from pacs_core.dataset import Changes, tag_of

_SEXES = {"F": "F", "M": "M", "O": "O", "A": "O"}


class UnsupportedMessageError(ValueError):
    """The message is none of those, or lacks what must be in it."""


@frozen
class PatientMessage:
    """What a message asks for.

    Attributes
    ----------
    control_id : str
        MSH-10, to be acknowledged.
    trigger : str
        Such as ``A40``.
    entity : EntityPath
        The patient as the archive knows them.
    changes : Changes
        What they are to be.
    """

    control_id: str
    trigger: str
    entity: EntityPath
    changes: Changes


def control_id_of(text: str) -> str:
    """Return MSH-10 of a message, however broken the rest is."""
    fields = text.split("\r")[0].split("|")
    return fields[9] if len(fields) > 9 else ""


def read_message(text: str) -> PatientMessage:
    """Read a message.

    Raises
    ------
    UnsupportedMessageError
        See there.
    """
    segments = {line[:3]: line.split("|") for line in text.split("\r") if line}
    trigger = [*_field(segments, "MSH", 8).split("^"), ""][1]
    patient = _identifier(_field(segments, "PID", 3))
    if trigger == "A40":
        known = _identifier(_field(segments, "MRG", 1))
    elif trigger in ("A08", "A31"):
        known = patient
    else:
        raise UnsupportedMessageError(f"{trigger or 'this'} is none of A08, A31 and A40")
    changes = {
        tag_of("PatientName"): _values(_name(_field(segments, "PID", 5))),
        tag_of("PatientBirthDate"): _values(_field(segments, "PID", 7)[:8]),
        tag_of("PatientSex"): _values(_SEXES.get(_field(segments, "PID", 8), "")),
    }
    if patient != known:
        changes[tag_of("PatientID")] = _values(patient[0])
        changes[tag_of("IssuerOfPatientID")] = _values(patient[1])
    return PatientMessage(control_id_of(text), trigger, EntityPath(*known), changes)


def _field(segments: dict[str, list[str]], name: str, number: int) -> str:
    fields = segments.get(name, [])
    # The field separator is the first field of MSH.
    return fields[number] if len(fields) > number else ""


def _identifier(text: str) -> tuple[str, str]:
    """Return Patient ID and issuer of the first repetition of a field of type CX."""
    parts = text.split("~")[0].split("^")
    if not parts[0]:
        raise UnsupportedMessageError("a patient identifier is missing")
    return parts[0], parts[3].split("&")[0] if len(parts) > 3 else ""


def _name(text: str) -> str:
    """Return a name of type XPN with the components in the order of DICOM's PN."""
    family, given, middle, suffix, prefix = (text.split("~")[0].split("^") + [""] * 5)[:5]
    return "^".join((family.split("&")[0], given, middle, prefix, suffix)).rstrip("^")


def _values(text: str) -> tuple[str, ...]:
    return (text,) if text else ()
