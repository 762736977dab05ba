"""Audit messages in XML, by the schema of PS3.15 A.5.1."""

import base64
import ipaddress
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Final

from pacs_audit_atna.events import AuditMessage, role_name
from pacs_core.contracts import (
    AuditCode,
    AuditObject,
    AuditObjectKind,
    AuditValue,
    EventAction,
    Outcome,
    Participant,
)

MOST: Final = 60_000
"""Bytes of a message: what a datagram can hold (RFC 5426 §3.1), less the header."""

LONGEST_VALUE: Final = 4096
"""Characters of a detail; what is beyond is cut off."""

OUTCOMES: Final = {Outcome.SUCCESS: "0", Outcome.WARNING: "4", Outcome.FAILURE: "8"}

_APPLICATION_SERVER: Final = "4"  # Audit Source Type Code, A.5.1.2.1

OBJECT_CODES: Final = {
    AuditObjectKind.PATIENT: ("1", "1", AuditCode("2", "RFC-3881", "Patient Number")),
    AuditObjectKind.STUDY: ("2", "3", AuditCode("110180", "DCM", "Study Instance UID")),
    AuditObjectKind.QUERY: ("2", "24", AuditCode("110181", "DCM", "SOP Class UID")),
    AuditObjectKind.USER: ("1", "11", AuditCode("11", "RFC-3881", "User Identifier")),
    AuditObjectKind.NODE: ("2", "4", AuditCode("110182", "DCM", "Node ID")),
    AuditObjectKind.URI: ("2", "13", AuditCode("12", "RFC-3881", "URI")),
}
"""Participant Object Type Code, its Role (A.5.1.2.2), and ID Type Code (A.5.1.2.4, CID 404)."""

_ERASED: Final = "15"  # Data Life Cycle, A.5.1.2.3: permanent erasure
_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_xml(message: AuditMessage, source_id: str, site: str) -> bytes:
    """Return a message as XML, in UTF-8, without a declaration, on one line.

    Values that XML cannot have are replaced by U+FFFD; details are cut off where they are so long
    that the message would exceed :data:`MOST`.
    """
    text = _render(message, source_id, site, LONGEST_VALUE)
    for longest in (256, 0):
        if len(text) <= MOST:
            break
        text = _render(message, source_id, site, longest)
    return text


def _render(message: AuditMessage, source_id: str, site: str, longest: int) -> bytes:
    root = ET.Element("AuditMessage")
    event = _add(
        root,
        "EventIdentification",
        EventActionCode=message.action.value,
        EventDateTime=message.time.strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z",
        EventOutcomeIndicator=OUTCOMES[message.outcome],
    )
    _add_code(event, "EventID", message.event_id)
    if message.event_type is not None:
        _add_code(event, "EventTypeCode", message.event_type)
    if message.description:
        _add(event, "EventOutcomeDescription").text = _clean(message.description[:LONGEST_VALUE])
    for participant in message.participants:
        _add_participant(root, participant, message.ae_title_of(participant))
    source = _add(
        root,
        "AuditSourceIdentification",
        AuditEnterpriseSiteID=site or None,
        AuditSourceID=source_id or message.ae_title,
    )
    _add(source, "AuditSourceTypeCode", **{"csd-code": _APPLICATION_SERVER})
    erased = message.action is EventAction.DELETE
    for each in message.objects:
        _add_object(root, each, longest, erased=erased)
    # A line feed in a value would end the message for some collectors: as a reference it is data.
    text = ET.tostring(root, "unicode").replace("\n", "&#10;").replace("\r", "&#13;")
    return text.encode("utf-8")


def _add_participant(root: ET.Element, participant: Participant, ae_title: str) -> None:
    element = _add(
        root,
        "ActiveParticipant",
        UserID=participant.user_id or "unknown",
        AlternativeUserID=f"AETITLES={ae_title}" if ae_title else None,
        UserName=participant.name or None,
        UserIsRequestor="true" if participant.is_requestor else "false",
        NetworkAccessPointID=participant.host or None,
        NetworkAccessPointTypeCode=network_type(participant.host) if participant.host else None,
    )
    if participant.role is not None:
        code = AuditCode(participant.role.value, "DCM", role_name(participant.role))
        _add_code(element, "RoleIDCode", code)


def _add_object(root: ET.Element, item: AuditObject, longest: int, *, erased: bool) -> None:
    kind, role, code = OBJECT_CODES[item.kind]
    element = _add(
        root,
        "ParticipantObjectIdentification",
        ParticipantObjectID=item.id or "unknown",
        ParticipantObjectTypeCode=kind,
        ParticipantObjectTypeCodeRole=role,
        ParticipantObjectDataLifeCycle=_ERASED if erased else None,
    )
    _add_code(element, "ParticipantObjectIDTypeCode", code)
    details = {name: plain_text(value)[:longest] for name, value in item.details.items()}
    if item.kind is AuditObjectKind.QUERY:
        _add(element, "ParticipantObjectQuery").text = encode_query(details)
    else:
        _add(element, "ParticipantObjectName").text = _clean(item.name or item.id or "unknown")
        for name, text in details.items():
            if text:
                _add(element, "ParticipantObjectDetail", type=str(name)[:256], value=_base64(text))
    if item.accession_numbers or item.sop_classes:
        _add_description(element, item.accession_numbers, item.sop_classes)


def _add_description(
    element: ET.Element, accession_numbers: tuple[str, ...], sop_classes: Mapping[str, int]
) -> None:
    description = _add(element, "ParticipantObjectDescription")
    for number in accession_numbers[:100]:
        _add(description, "Accession", Number=number)
    for uid, count in list(sop_classes.items())[:100]:
        _add(description, "SOPClass", UID=uid, NumberOfInstances=str(count))


def network_type(host: str) -> str:
    """Return the Network Access Point Type Code: 2 for an address, 1 for a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "1"
    return "2"


def plain_text(value: AuditValue) -> str:
    """Return a detail as text."""
    if value is None:
        return ""
    if isinstance(value, str | int | float):
        return str(value)
    return "\\".join(str(each) for each in value)


def encode_query(details: Mapping[str, str]) -> str:
    """Return what was asked for, in base64."""
    return _base64(json.dumps(details, sort_keys=True))


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "backslashreplace")).decode("ascii")


def _add(parent: ET.Element, tag: str, **attributes: str | None) -> ET.Element:
    given = {name: _clean(value) for name, value in attributes.items() if value is not None}
    return ET.SubElement(parent, tag, given)


def _add_code(parent: ET.Element, tag: str, code: AuditCode) -> None:
    attributes = {
        "csd-code": code.value,
        "codeSystemName": code.scheme,
        "displayName": code.meaning,
        "originalText": code.meaning,
    }
    _add(parent, tag, **attributes)


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
