"""Audit messages as AuditEvent of FHIR R4, as IHE BALP has DICOM's terms in it."""

import json
from typing import Any, Final

from pacs_audit_atna.events import OWN_SCHEME, AuditMessage, role_name
from pacs_audit_atna.xml_form import (
    LONGEST_VALUE,
    OBJECT_CODES,
    OUTCOMES,
    encode_query,
    network_type,
    plain_text,
)
from pacs_core.contracts import AuditCode, AuditObject, AuditObjectKind, EventAction, Participant

_DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_OWN: Final = "urn:pacs-core:audit-kind"
_OBJECT_TYPE: Final = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_OBJECT_ROLE: Final = "http://terminology.hl7.org/CodeSystem/object-role"
_LIFE_CYCLE: Final = "http://terminology.hl7.org/CodeSystem/dicom-audit-lifecycle"
_SOURCE_TYPE: Final = "http://terminology.hl7.org/CodeSystem/security-source-type"
_UID: Final = "urn:ietf:rfc:3986"
_SYSTEMS: Final = {"DCM": _DCM, OWN_SCHEME: _OWN}


def to_fhir(message: AuditMessage, source_id: str, site: str) -> bytes:
    """Return a message as JSON."""
    resource: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "type": _coding(message.event_id),
        "action": message.action.value,
        "recorded": message.time.isoformat(timespec="milliseconds"),
        "outcome": OUTCOMES[message.outcome],
        "agent": [_agent(each, message.ae_title_of(each)) for each in message.participants],
        "source": {
            "observer": {"display": source_id or message.ae_title},
            "type": [{"system": _SOURCE_TYPE, "code": "4", "display": "Application Server"}],
        },
        "entity": [_entity(each, message.action) for each in message.objects],
    }
    if message.event_type is not None:
        resource["subtype"] = [_coding(message.event_type)]
    if message.description:
        resource["outcomeDesc"] = message.description[:LONGEST_VALUE]
    if site:
        resource["source"]["site"] = site
    # ASCII: no control character and no half a surrogate goes out as it came.
    return json.dumps(resource, separators=(",", ":")).encode("ascii")


def _coding(code: AuditCode) -> dict[str, str]:
    system = _SYSTEMS.get(code.scheme, f"urn:pacs-core:scheme:{code.scheme}")
    return {"system": system, "code": code.value, "display": code.meaning}


def _agent(participant: Participant, ae_title: str) -> dict[str, Any]:
    agent: dict[str, Any] = {
        "who": {"identifier": {"value": participant.user_id or "unknown"}},
        "requestor": participant.is_requestor,
    }
    if participant.role is not None:
        code = AuditCode(participant.role.value, "DCM", role_name(participant.role))
        agent["type"] = {"coding": [_coding(code)]}
    if alternative := participant.alternative_id or (f"AETITLES={ae_title}" if ae_title else ""):
        agent["altId"] = alternative
    if participant.name:
        agent["name"] = participant.name
    if participant.host:
        agent["network"] = {
            "address": participant.host,
            "type": network_type(participant.host),
        }
    return agent


def _entity(item: AuditObject, action: EventAction) -> dict[str, Any]:
    kind, role, _ = OBJECT_CODES[item.kind]
    value = item.id or "unknown"
    identifier = {"value": value}
    if item.kind is AuditObjectKind.STUDY:
        identifier = {"system": _UID, "value": f"urn:oid:{value}"}
    what: dict[str, Any] = {"identifier": identifier}
    if item.kind is AuditObjectKind.PATIENT:
        what["type"] = "Patient"
    entity: dict[str, Any] = {
        "what": what,
        "type": {"system": _OBJECT_TYPE, "code": kind},
        "role": {"system": _OBJECT_ROLE, "code": role},
    }
    if action is EventAction.DELETE:
        entity["lifecycle"] = {"system": _LIFE_CYCLE, "code": "15"}
    texts = {name: plain_text(value)[:LONGEST_VALUE] for name, value in item.details.items()}
    if item.kind is AuditObjectKind.QUERY:
        entity["query"] = encode_query(item, texts, LONGEST_VALUE)
        if not item.query:
            return entity
    if item.id_type is not None:
        entity["what"]["identifier"]["type"] = {"coding": [_coding(item.id_type)]}
    if item.name:
        entity["name"] = item.name
    details = [{"type": str(name), "valueString": text} for name, text in texts.items() if text]
    details += [
        {"type": "AccessionNumber", "valueString": each}
        for each in item.accession_numbers[:100]
        if each
    ]
    details += [
        {"type": f"instances of {uid}", "valueString": str(count)}
        for uid, count in list(item.sop_classes.items())[:100]
    ]
    if details:
        entity["detail"] = details
    return entity
