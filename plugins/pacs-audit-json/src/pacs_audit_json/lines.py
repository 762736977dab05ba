"""Events as lines of JSON."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC
from math import isfinite

from pacs_core.contracts import AuditEvent, AuditValue


def line(event: AuditEvent) -> bytes:
    """Return the event as one line of ASCII; whatever its values are, they stay within it."""
    origin = event.origin
    record = {
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
    return json.dumps(record, separators=(",", ":")).encode("ascii") + b"\n"


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
