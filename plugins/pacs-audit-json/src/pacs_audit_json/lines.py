"""Events as lines of JSON."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC
from math import isfinite

from attrs import asdict

from pacs_core.contracts import AuditEvent, AuditObject, AuditValue, Participant


def line(event: AuditEvent) -> bytes:
    """Return the event as one line of ASCII; whatever its values are, they stay within it."""
    origin = event.origin
    record: dict[str, object] = {
        "time": event.time.astimezone(UTC).isoformat(timespec="microseconds"),
        "event": event.kind.value,
        "outcome": event.outcome.value,
        "interface": origin.interface,
        "calling_ae_title": origin.calling_ae_title,
        "called_ae_title": origin.called_ae_title,
        "user": origin.user,
        "host": origin.host,
        "port": origin.port,
        "association": origin.association,
        "details": _plain_mapping(event.details),
    }
    if event.correlation:
        record["correlation"] = event.correlation
    if event.action is not None:
        record["action"] = event.action.value
    if event.participants:
        record["participants"] = [_participant(each) for each in event.participants]
    if event.objects:
        record["objects"] = [_object(each) for each in event.objects]
    return json.dumps(record, separators=(",", ":")).encode("ascii") + b"\n"


def _participant(participant: Participant) -> dict[str, object]:
    role = participant.role.name.lower() if participant.role else ""
    alternative = participant.alternative_id
    return {
        "user": participant.user_id,
        "role": role,
        "requestor": participant.is_requestor,
        "host": participant.host,
        "name": participant.name,
        **({"alternative": alternative} if alternative else {}),
    }


def _object(item: AuditObject) -> dict[str, object]:
    """Return what is known of an object; what is not is left out."""
    values = {
        "kind": item.kind.value,
        "id": item.id,
        "name": item.name,
        "sop_classes": dict(item.sop_classes),
        "accession_numbers": list(item.accession_numbers),
        "details": _plain_mapping(item.details),
        "query": item.query,
        "id_type": asdict(item.id_type) if item.id_type else None,
    }
    return {name: value for name, value in values.items() if value}


def _plain_mapping(details: Mapping[str, AuditValue]) -> dict[str, object]:
    return {str(name): _plain(value) for name, value in details.items()}


def _plain(value: object) -> object:
    """Return what JSON can express: a detail of a wrong type must not cost the event."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray, memoryview)):
        return [item if isinstance(item, str) else str(item) for item in value]
    return str(value)
