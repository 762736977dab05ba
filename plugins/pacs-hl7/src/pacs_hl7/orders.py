"""Orders, as entries of the worklist (IHE RAD TF-2 4.4, Appendix B: how HL7 maps to DICOM).

How it works: each OBR segment, or each IPC of a message that has some, is a scheduled procedure
step. A table says for each attribute where its value is, first choice first; a site may say it
otherwise (``[plugin.hl7.mapping]``). The order control of ORC-1 says what becomes of the steps.

A Study Instance UID that no message gives is made of the accession number, so that it is the same
whenever the order is sent again.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import Enum, auto
from typing import Final

from attrs import frozen

from pacs_core.dataset import Attributes, UnknownAttribute, Value, keyword_of, tag_of, vr_of
from pacs_hl7.messages import Fault, Message, MessageError
from pacs_hl7.persons import read_person
from pacs_hl7.values import fit

ORDERS: Final = frozenset({("ORM", "O01"), ("OMG", "O19"), ("OMI", "O23")})
"""Code and trigger event of messages that are orders."""

MAPPING: Final[Mapping[str, str]] = {
    "AccessionNumber": "IPC-1 OBR-18 ORC-3 ORC-2",
    "RequestedProcedureID": "IPC-2 OBR-19 IPC-1 OBR-18 ORC-3 ORC-2",
    "StudyInstanceUID": "IPC-3 ZDS-1",
    "RequestedProcedureDescription": "OBR-44.2 OBR-4.2 OBR-4.1",
    "PlacerOrderNumberImagingServiceRequest": "ORC-2 OBR-2",
    "FillerOrderNumberImagingServiceRequest": "ORC-3 OBR-3",
    "ReferringPhysicianName": "PV1-8",
    "RequestingPhysician": "ORC-12 OBR-16",
    "ReasonForTheRequestedProcedure": "OBR-31.2 OBR-31.1",
    "AdmissionID": "PV1-19",
    "Modality": "IPC-5 OBR-24",
    "ScheduledStationAETitle": "IPC-9",
    "ScheduledStationName": "IPC-7",
    "ScheduledProcedureStepID": "IPC-4 OBR-20 OBR-19 OBR-18 ORC-2",
    "ScheduledProcedureStepDescription": "IPC-6.2 OBR-4.5 OBR-4.2 OBR-4.1",
    "ScheduledPerformingPhysicianName": "OBR-34",
    "ScheduledProcedureStepStart": "TQ1-7 OBR-36 ORC-7.4 OBR-27.4",
}
"""Attributes of an entry, and where a message has them."""

_OF_THE_STEP: Final = frozenset(
    {
        "Modality",
        "ScheduledStationAETitle",
        "ScheduledStationName",
        "ScheduledProcedureStepID",
        "ScheduledProcedureStepDescription",
        "ScheduledPerformingPhysicianName",
    }
)
_START: Final = "ScheduledProcedureStepStart"
_SEQUENCE: Final = tag_of("ScheduledProcedureStepSequence")
_PLACE: Final = re.compile(r"([A-Z][A-Z0-9]{2})-(\d{1,2})(?:\.(\d{1,2}))?(?:\.(\d{1,2}))?\Z")
_PER_ORDER: Final = frozenset({"ORC", "OBR", "IPC", "TQ1"})
"""Segments of which each order has its own."""


class Control(Enum):
    """What becomes of the steps of an order (HL7 table 0119)."""

    SCHEDULE = auto()
    CANCEL = auto()


CONTROLS: Final = {
    **dict.fromkeys(("NW", "XO", "XX", "SN", "RO", "PA", "CH", "SC", ""), Control.SCHEDULE),
    **dict.fromkeys(("CA", "DC", "OC", "OD", "CR", "RP"), Control.CANCEL),
}


@frozen
class Order:
    """One step of an order.

    Attributes
    ----------
    control : Control
    attributes : Attributes
        The entry.
    """

    control: Control
    attributes: Attributes


def mapping_problems(mapping: Mapping[str, str]) -> Iterator[str]:
    """Iterate over what is wrong with a site's own mapping."""
    for keyword, places in mapping.items():
        try:
            is_settable = keyword == _START or vr_of(tag_of(keyword)) != "SQ"
        except UnknownAttribute as error:
            yield f"mapping: {error}"
            continue
        if not is_settable:
            yield f"mapping.{keyword}: a sequence cannot be set"
        for place in places.split():
            if not _PLACE.match(place):
                yield f"mapping.{keyword}: {place!r} is no place; write it as OBR-18 or PV1-8.2"


def read_orders(
    message: Message, patient: Attributes, mapping: Mapping[str, str]
) -> Iterator[Order]:
    """Iterate over the steps that a message is about.

    Parameters
    ----------
    message : Message
    patient : Attributes
        Who it is.
    mapping : mapping of str to str
        What a site has otherwise than :data:`MAPPING`.

    Raises
    ------
    MessageError
        It is no order, or about what nobody knows.
    """
    places = {**MAPPING, **mapping}
    number = message.count("IPC") or message.count("OBR")
    if not number:
        raise MessageError("the order has neither OBR nor IPC", Fault.SEGMENT_SEQUENCE)
    for each in range(1, number + 1):

        def value(place: str, each: int = each) -> str:
            return _find(message, place, each)

        control = CONTROLS.get(value("ORC-1"))
        if control is None:
            raise MessageError(
                f"order control {value('ORC-1')[:10]!r} in ORC-1 is not known", Fault.UNKNOWN_KEY
            )
        yield Order(control, _entry(message, each, patient, places))


def _entry(
    message: Message, each: int, patient: Attributes, places: Mapping[str, str]
) -> Attributes:
    common: dict[int, tuple[Value, ...]] = {
        tag: tuple(fit(keyword_of(tag), str(value)) for value in values)
        for tag, values in patient.items()
    }
    step: dict[int, tuple[Value, ...]] = {}
    start = ""
    for keyword, alternatives in places.items():
        found = ""
        for place in alternatives.split():
            is_person = keyword != _START and vr_of(tag_of(keyword)) == "PN"
            found = _find(message, place, each, is_person=is_person)
            if found:
                break
        if keyword == _START:
            start = found
        elif found:
            target = step if keyword in _OF_THE_STEP else common
            target[tag_of(keyword)] = (fit(keyword, found),)
    moment = (
        moment_digits(start)
        or moment_digits(message.get("MSH", 7))
        or f"{datetime.now():%Y%m%d%H%M%S}"
    )
    step[tag_of("ScheduledProcedureStepStartDate")] = (moment[:8],)
    step[tag_of("ScheduledProcedureStepStartTime")] = (moment[8:14].ljust(6, "0"),)
    study, accession = tag_of("StudyInstanceUID"), tag_of("AccessionNumber")
    if study not in common and accession in common:
        from pydicom.uid import generate_uid

        made_of = ["hl7 order", message.sender, str(common[accession][0])]
        common[study] = (str(generate_uid(entropy_srcs=made_of)),)
    return {**common, _SEQUENCE: (step,)}


def _find(message: Message, place: str, each: int, *, is_person: bool = False) -> str:
    match = _PLACE.match(place)
    if match is None:
        return ""
    segment, number, component, part = match.groups()
    occurrence = min(each, message.count(segment)) if segment in _PER_ORDER else 1
    if is_person and component is None:
        return read_person(message, segment, int(number), occurrence=occurrence, skip=1)
    return message.get(
        segment,
        int(number),
        component=int(component or 1),
        part=int(part or 1),
        occurrence=occurrence,
    )


def moment_digits(moment: str) -> str:
    """Return a date and time of HL7 without its fraction and zone; empty if it is none."""
    found = re.match(r"\d{8,14}", moment)
    return found[0] if found else ""
