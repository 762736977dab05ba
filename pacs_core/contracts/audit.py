"""The contract of audit sinks: where security-relevant events are recorded.

Who records what is one rule, so that nothing is recorded twice, or never:

- The kernel records associations, of either direction; which instances :attr:`Node.sender` sent;
  what it denied; and whatever becomes of what the archive holds.
- Who performs an operation for somebody else, that is a service provider or whatever another door
  has in its place, records it once, with its outcome and before it is acknowledged.
- Who acts of its own accord, such as a service, an event handler or a command, records that with a
  kind of its own (:class:`PluginAuditKind`), as far as the kernel has not done so.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from functools import partial
from typing import Final

from attrs import field, frozen

from pacs_core.contracts.component import Component
from pacs_core.contracts.correlation import current_correlation_id
from pacs_core.contracts.inspection import QueueStatus
from pacs_core.contracts.instance import Origin

_QUALIFIED: Final = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")

AuditValue = str | int | float | bool | None | Sequence[str]


class AuditKind(Enum):
    """What happened; the events of PS3.15 A.5.3 as this node sees them."""

    NODE_STARTED = "node-started"
    NODE_STOPPED = "node-stopped"
    WORKER_RESTARTED = "worker-restarted"
    CONFIGURATION_ERROR = "configuration-error"
    CERTIFICATE_EXPIRY = "certificate-expiry"
    """A certificate of this node, or of a CA, is not valid, or not for much longer."""
    CERTIFICATE_CHANGED = "certificate-changed"
    """Certificates were read again (PS3.15 A.5.3.11, Security Alert: Security Configuration)."""
    CONFIGURATION_CHANGED = "configuration-changed"
    """The node runs with other settings (PS3.15 A.5.3.11, Security Alert: Network Configuration,
    110128, or Security Configuration, 110129; `details` say which keys)."""
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
    """Instances, or all that was found of a study, were deleted (PS3.15 A.5.3.8)."""
    UPDATE = "update"
    """What is handed out was corrected (PS3.15 A.5.3.6, DICOM Instances Accessed, Update)."""
    IMPORT = "import"
    INDEX_REBUILD = "index-rebuild"
    INSTANCE_LOST = "instance-lost"
    INSTANCE_DAMAGED = "instance-damaged"
    INSTANCE_HEALED = "instance-healed"
    FLUSH = "flush"
    SPACE = "space"
    ACCESS_DENIED = "access-denied"
    """An authorizer denied it (PS3.15 A.5.3.11, Security Alert)."""
    INSTANCES_SENT = "instances-sent"
    """Instances were sent to a peer, on one association (PS3.15 A.5.3.7)."""
    INGEST_FILTERED = "ingest-filtered"
    """An ingest filter changed or rejected what came, or failed (PS3.15 A.5.3.6)."""
    CONTROL = "control"
    """A command asked this node for an operation; `details` say which. Of one that only looks
    nothing is recorded."""
    COMPRESSION_REJECTED = "compression-rejected"
    """What was compressed to be stored did not come back the same: it is stored as it came."""


@frozen
class AuditCode:
    """A coded concept, as audit messages have it (PS3.15 A.5.1).

    Attributes
    ----------
    value, scheme, meaning : str
        Such as ``AuditCode("110107", "DCM", "Import")``.
    """

    value: str
    scheme: str
    meaning: str


def _is_qualified(instance: object, attribute: object, value: str) -> None:
    if not _QUALIFIED.fullmatch(value):
        raise ValueError(
            f"{value!r} is no kind of a plugin: name it like routing.forwarded, the plugin first"
        )


@frozen
class PluginAuditKind:
    """A kind of event that a plugin has of its own.

    Attributes
    ----------
    value : str
        Name of the plugin and of the kind, with a dot between: ``"routing.forwarded"``.
    event_id : AuditCode or None
        Event ID of the audit message (PS3.15 A.5.3), if one of the standard's fits.
    event_type : AuditCode or None
        Event Type Code.

    Raises
    ------
    ValueError
        The name has no dot, or other characters than lower case letters, digits and hyphens.
    """

    value: str = field(validator=_is_qualified)
    event_id: AuditCode | None = None
    event_type: AuditCode | None = None


class EventAction(Enum):
    """Event Action Code (PS3.15 Table A.5.2-1)."""

    CREATE = "C"
    READ = "R"
    UPDATE = "U"
    DELETE = "D"
    EXECUTE = "E"


class ParticipantRole(Enum):
    """Role ID Code of an active participant (PS3.16 CID 402), by its code in DCM."""

    APPLICATION = "110150"
    APPLICATION_LAUNCHER = "110151"
    DESTINATION = "110152"
    SOURCE = "110153"
    DESTINATION_MEDIA = "110154"
    SOURCE_MEDIA = "110155"


@frozen
class Participant:
    """Somebody or something that took part: an Active Participant (PS3.15 A.5.2.3).

    Attributes
    ----------
    user_id : str
        User, process, or AE title.
    role : ParticipantRole or None
    is_requestor : bool
        Whether it is who began.
    host : str
        Address; empty if it is not known.
    name : str
        For people to read.
    alternative_id : str
        Alternative User ID: what else identifies it, where a profile says so, such as the process
        in the logs of its system (IHE ITI TF-2 3.41.5.1). By default the AE title, if it has one.
    """

    user_id: str
    role: ParticipantRole | None = None
    is_requestor: bool = False
    host: str = ""
    name: str = ""
    alternative_id: str = ""


class AuditObjectKind(Enum):
    """What an audited object is, and so what its ID means (PS3.15 A.5.2.4)."""

    PATIENT = "patient"
    """Patient ID."""
    STUDY = "study"
    """Study Instance UID."""
    QUERY = "query"
    """SOP Class UID of the query; the query itself is in `details`."""
    USER = "user"
    """Name or ID of somebody whose rights were concerned."""
    NODE = "node"
    """Node ID: a machine or an application entity."""
    URI = "uri"
    """A file, or another resource."""
    DOCUMENT = "document"
    """Unique ID of a document that is shared (IHE ITI TF-2 3.43.5.1)."""
    SUBMISSION_SET = "submission-set"
    """Unique ID of a submission of documents (IHE ITI TF-2 3.41.5.1)."""


@frozen
class AuditObject:
    """What an event is about: a Participant Object (PS3.15 A.5.2.4).

    Attributes
    ----------
    kind : AuditObjectKind
    id : str
        See the kind.
    name : str
        For people to read: a patient's name.
    sop_classes : mapping of str to int
        Of a study: how many instances of each SOP class UID were touched.
    accession_numbers : tuple of str
        Of a study.
    details : mapping of str to plain values
        Further ParticipantObjectDetail, or the query.
    query : str
        The query as it was sent, where it is no mapping; `details` are details then.
    id_type : AuditCode or None
        What the ID means, where it is something else than its kind says.
    """

    kind: AuditObjectKind
    id: str
    name: str = ""
    sop_classes: Mapping[str, int] = field(factory=dict)
    accession_numbers: tuple[str, ...] = ()
    details: Mapping[str, AuditValue] = field(factory=dict)
    query: str = ""
    id_type: AuditCode | None = None


class Outcome(Enum):
    """Event outcome (PS3.15 A.5.2), in words."""

    SUCCESS = "success"
    WARNING = "warning"
    FAILURE = "failure"


@frozen
class AuditEvent:
    """One event: who, from where, what, with which outcome.

    Attributes
    ----------
    kind : AuditKind or PluginAuditKind
    outcome : Outcome
    origin : Origin
        Who, and from where.
    details : mapping of str to plain values
        What: UIDs, counts, DIMSE status, reasons. Never pixel data, never secrets.
    time : datetime
        With time zone.
    action : EventAction or None
        None for what only reports how things are.
    participants : tuple of Participant
        Who took part, where `origin` does not say it all; see :attr:`active_participants`.
    objects : tuple of AuditObject
        Which patients, studies or queries it was about, as far as that is known.
    correlation : str
        ID of what it follows from, see :class:`Correlation`; the running one's, or empty.
    """

    kind: AuditKind | PluginAuditKind
    outcome: Outcome
    origin: Origin
    details: Mapping[str, AuditValue] = field(factory=dict)
    time: datetime = field(factory=partial(datetime.now, UTC))
    action: EventAction | None = None
    participants: tuple[Participant, ...] = ()
    objects: tuple[AuditObject, ...] = ()
    correlation: str = field(factory=current_correlation_id)

    @property
    def active_participants(self) -> tuple[Participant, ...]:
        """Who took part: `participants`, or else the two ends that `origin` knows."""
        if self.participants:
            return self.participants
        origin = self.origin
        caller = origin.user or origin.calling_ae_title or origin.interface
        ends = [Participant(caller, None, True, origin.host, origin.calling_ae_title)]
        if origin.called_ae_title:
            ends.append(Participant(origin.called_ae_title))
        return tuple(ends)


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

    async def spool(self) -> QueueStatus | None:
        """Return what is safe with the sink but not where it is to go; None if it has no spool.

        Of the kind ``"spool"``; the same for all processes of a node.
        """
        return None


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
