"""Audit messages in XML, by the schema of PS3.15 A.5.1."""

import base64
import ipaddress
import json
import re
from collections.abc import Mapping
from functools import lru_cache
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
    AuditObjectKind.DOCUMENT: ("2", "3", AuditCode("9", "RFC-3881", "Report Number")),
    AuditObjectKind.SUBMISSION_SET: (
        "2",
        "20",
        AuditCode(
            "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd",
            "IHE XDS Metadata",
            "submission set classificationNode",
        ),
    ),
}
"""Participant Object Type Code, its Role (A.5.1.2.2), and ID Type Code (A.5.1.2.4, CID 404; of
documents and their submissions IHE ITI TF-2 3.43.6.1, 3.41.5.1)."""

_ERASED: Final = "15"  # Data Life Cycle, A.5.1.2.3: permanent erasure
# A line feed in a value would end the message for some collectors: as a reference it is data.
_SPECIAL: Final = re.compile('[&<>"\t\n\r]')
_REFERENCES: Final = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}
    | {control: f"&#{ord(control)};" for control in "\t\n\r"}
)
# What XML cannot have, and what it can but a terminal acts on: C1 controls, separators of lines.
_FORBIDDEN: Final = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)


def to_xml(message: AuditMessage, source_id: str, site: str) -> bytes:
    """Return a message as XML, in UTF-8, without a declaration, on one line.

    Values that XML cannot have are replaced by U+FFFD; details are cut off where they are so long
    that the message would exceed :data:`MOST`.
    """
    text = b""
    for longest in (LONGEST_VALUE, 256, 0):
        text = _render(message, source_id, site, longest).encode("utf-8")
        if len(text) <= MOST:
            break
    return text


def _render(message: AuditMessage, source_id: str, site: str, longest: int) -> str:
    event_type = _code("EventTypeCode", message.event_type) if message.event_type else ""
    described = message.description[:LONGEST_VALUE]
    event = _element(
        "EventIdentification",
        _code("EventID", message.event_id),
        event_type,
        f"<EventOutcomeDescription>{_escape(described)}</EventOutcomeDescription>"
        if described
        else "",
        EventActionCode=message.action.value,
        EventDateTime=message.time.strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z",
        EventOutcomeIndicator=OUTCOMES[message.outcome],
    )
    source = _element(
        "AuditSourceIdentification",
        f'<AuditSourceTypeCode csd-code="{_APPLICATION_SERVER}"/>',
        AuditEnterpriseSiteID=site or None,
        AuditSourceID=source_id or message.ae_title,
    )
    erased = message.action is EventAction.DELETE
    return _element(
        "AuditMessage",
        event,
        *(_participant(each, message.ae_title_of(each)) for each in message.participants),
        source,
        *(_object(each, longest, erased=erased) for each in message.objects),
    )


def _participant(participant: Participant, ae_title: str) -> str:
    role = participant.role
    alternative = participant.alternative_id or (f"AETITLES={ae_title}" if ae_title else None)
    return _element(
        "ActiveParticipant",
        _code("RoleIDCode", AuditCode(role.value, "DCM", role_name(role))) if role else "",
        UserID=participant.user_id or "unknown",
        AlternativeUserID=alternative,
        UserName=participant.name or None,
        UserIsRequestor="true" if participant.is_requestor else "false",
        NetworkAccessPointID=participant.host or None,
        NetworkAccessPointTypeCode=network_type(participant.host) if participant.host else None,
    )


def _object(item: AuditObject, longest: int, *, erased: bool) -> str:
    kind, role, code = OBJECT_CODES[item.kind]
    details = {name: plain_text(value)[:longest] for name, value in item.details.items()}
    if item.kind is AuditObjectKind.QUERY:
        query = encode_query(item, details, longest)
        content = f"<ParticipantObjectQuery>{query}</ParticipantObjectQuery>"
    else:
        name = _escape(item.name or item.id or "unknown")
        content = f"<ParticipantObjectName>{name}</ParticipantObjectName>"
    if item.query or item.kind is not AuditObjectKind.QUERY:
        content += "".join(
            _element("ParticipantObjectDetail", type=str(name)[:256], value=_base64(text))
            for name, text in details.items()
            if text
        )
    return _element(
        "ParticipantObjectIdentification",
        _code("ParticipantObjectIDTypeCode", item.id_type or code),
        content,
        _description(item.accession_numbers, item.sop_classes),
        ParticipantObjectID=item.id or "unknown",
        ParticipantObjectTypeCode=kind,
        ParticipantObjectTypeCodeRole=role,
        ParticipantObjectDataLifeCycle=_ERASED if erased else None,
    )


def _description(accession_numbers: tuple[str, ...], sop_classes: Mapping[str, int]) -> str:
    if not accession_numbers and not sop_classes:
        return ""
    return _element(
        "ParticipantObjectDescription",
        *(_element("Accession", Number=number) for number in accession_numbers[:100]),
        *(
            _element("SOPClass", UID=uid, NumberOfInstances=str(count))
            for uid, count in list(sop_classes.items())[:100]
        ),
    )


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


def encode_query(item: AuditObject, details: Mapping[str, str], longest: int) -> str:
    """Return what was asked for, in base64."""
    return _base64(item.query[:longest] or json.dumps(details, sort_keys=True))


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "backslashreplace")).decode("ascii")


def _element(tag: str, *content: str, **attributes: str | None) -> str:
    """Return an element: its content is XML, values of its attributes are text."""
    given = "".join(
        f' {name}="{_escape(value)}"' for name, value in attributes.items() if value is not None
    )
    inner = "".join(content)
    return f"<{tag}{given}>{inner}</{tag}>" if inner else f"<{tag}{given}/>"


@lru_cache(maxsize=512)
def _code(tag: str, code: AuditCode) -> str:
    meaning = _escape(code.meaning)
    return (
        f'<{tag} csd-code="{_escape(code.value)}" codeSystemName="{_escape(code.scheme)}" '
        f'displayName="{meaning}" originalText="{meaning}"/>'
    )


def _escape(text: str) -> str:
    """Return text for XML, as content or in quotes, on one line."""
    if not (text.isascii() and text.isprintable()):
        text = _FORBIDDEN.sub("\ufffd", text)
    return text.translate(_REFERENCES) if _SPECIAL.search(text) else text
