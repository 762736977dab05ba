"""The contract of audit sinks: where security-relevant events are recorded."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum

from attrs import field, frozen

from pacs_core.contracts.component import Component
from pacs_core.contracts.instance import Origin

AuditValue = str | int | float | bool | None | Sequence[str]


class AuditKind(Enum):
    """What happened; the events of PS3.15 A.5.3 as this node sees them."""

    NODE_STARTED = "node-started"
    NODE_STOPPED = "node-stopped"
    WORKER_RESTARTED = "worker-restarted"
    CONFIGURATION_ERROR = "configuration-error"
    PLUGIN_QUARANTINED = "plugin-quarantined"
    SERVICE_FAILED = "service-failed"
    ASSOCIATION_ACCEPTED = "association-accepted"
    ASSOCIATION_REFUSED = "association-refused"
    ASSOCIATION_RELEASED = "association-released"
    ASSOCIATION_ABORTED = "association-aborted"
    C_ECHO = "c-echo"
    C_STORE = "c-store"
    C_FIND = "c-find"
    C_MOVE = "c-move"
    C_GET = "c-get"
    N_SERVICE = "n-service"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    DELETE = "delete"
    IMPORT = "import"
    INDEX_REBUILD = "index-rebuild"
    INSTANCE_LOST = "instance-lost"
    INSTANCE_DAMAGED = "instance-damaged"
    INSTANCE_HEALED = "instance-healed"
    FLUSH = "flush"
    SPACE = "space"
    ACCESS_DENIED = "access-denied"
    """An authorizer denied it (PS3.15 A.5.3.11, Security Alert)."""
    COMPRESSION_REJECTED = "compression-rejected"
    """What was compressed to be stored did not come back the same: it is stored as it came."""


class Outcome(Enum):
    """Event outcome (PS3.15 A.5.2), in words."""

    SUCCESS = "success"
    WARNING = "warning"
    FAILURE = "failure"


def _now() -> datetime:
    return datetime.now(UTC)


@frozen
class AuditEvent:
    """One event: who, from where, what, with which outcome.

    Attributes
    ----------
    kind : AuditKind
    outcome : Outcome
    origin : Origin
        Who, and from where.
    details : mapping of str to plain values
        What: UIDs, counts, DIMSE status, reasons. Never pixel data, never secrets.
    time : datetime
        With time zone.
    """

    kind: AuditKind
    outcome: Outcome
    origin: Origin
    details: Mapping[str, AuditValue] = field(factory=dict)
    time: datetime = field(factory=_now)


class AuditSink(Component, ABC):
    """Records audit events.

    The kernel gathers events and hands them over in order and in batches, one batch at a time,
    under a timeout. What a sink raises is logged and counted; it stops nothing, unless the
    sink's descriptor or the configuration says that it is required: then no operation is
    acknowledged that could not be recorded.
    """

    @abstractmethod
    async def write(self, events: Sequence[AuditEvent]) -> None:
        """Record the events; they are safe with the sink when this returns."""


class AuditTrail(ABC):
    """What the node offers to everything that has something to record."""

    @abstractmethod
    async def record(self, event: AuditEvent) -> None:
        """Hand the event to every sink; waits for the required ones only.

        Raises
        ------
        AuditFailedError
            A required sink did not take the event: the operation must not be acknowledged.
        """


class AuditFailedError(Exception):
    """A required audit sink could not record an event."""
