"""An audit event as a line of JSON, and back."""

import json
import math
from datetime import datetime

from attrs import asdict
from pacs_core.contracts import AuditEvent, AuditKind, AuditValue, Origin, Outcome, Principal


def line(event: AuditEvent) -> bytes:
    """Return an event as one line of ASCII: whatever its details, they stay details."""
    origin = asdict(event.origin, filter=lambda attribute, _: attribute.name != "principal")
    facts = {
        "time": event.time.isoformat(),
        "event": event.kind.value,
        "outcome": event.outcome.value,
        "origin": {**origin, "user": event.origin.user},
        "details": {name: _finite(value) for name, value in event.details.items()},
    }
    return json.dumps(facts, ensure_ascii=True, allow_nan=False).encode() + b"\n"


def _finite(value: AuditValue) -> AuditValue:
    """Return a value that JSON can hold."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def parse(text: str) -> AuditEvent:
    """Return the event that a line records."""
    facts = json.loads(text)
    user = facts["origin"].pop("user")
    return AuditEvent(
        AuditKind(facts["event"]),
        Outcome(facts["outcome"]),
        Origin(**facts["origin"], principal=Principal(user) if user else None),
        facts["details"],
        datetime.fromisoformat(facts["time"]),
    )
