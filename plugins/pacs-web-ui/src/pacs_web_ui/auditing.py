"""Audit events of pages and API: who searched, looked at and sent what (PS3.15 A.5.3).

What becomes of instances is recorded by the kernel, deletion for instance; it does not know who
looked at a page.
"""

from collections.abc import Mapping
from typing import Final

from pacs_core.contracts import (
    AuditCode,
    AuditEvent,
    AuditObject,
    AuditObjectKind,
    AuditValue,
    EventAction,
    Node,
    Origin,
    Outcome,
    PluginAuditKind,
)
from pacs_web_ui.studies import StudySearch

SEARCHED: Final = PluginAuditKind("web-ui.searched", AuditCode("110112", "DCM", "Query"))
VIEWED: Final = PluginAuditKind(
    "web-ui.viewed", AuditCode("110103", "DCM", "DICOM Instances Accessed")
)
HISTORY_VIEWED: Final = PluginAuditKind(
    "web-ui.history-viewed", AuditCode("110101", "DCM", "Audit Log Used")
)
NODE_VIEWED: Final = PluginAuditKind("web-ui.node-viewed")
PEER_QUERIED: Final = PluginAuditKind("web-ui.peer-queried", AuditCode("110112", "DCM", "Query"))
RETRIEVED: Final = PluginAuditKind("web-ui.retrieved", AuditCode("110112", "DCM", "Query"))
UPLOADED: Final = PluginAuditKind("web-ui.uploaded", AuditCode("110107", "DCM", "Import"))
SENT: Final = PluginAuditKind(
    "web-ui.sent", AuditCode("110102", "DCM", "Begin Transferring DICOM Instances")
)


async def record_search(node: Node, origin: Origin, search: StudySearch, total: int) -> None:
    """Record a search, before it is answered.

    Raises
    ------
    AuditFailedError
        It must not be answered.
    """
    query = {**search.filters, **({"q": search.text} if search.text else {})}
    details: dict[str, AuditValue] = {"matches": total, **query}
    event = AuditEvent(SEARCHED, Outcome.SUCCESS, origin, details, action=EventAction.EXECUTE)
    await node.audit.record(event)


async def record_access(
    node: Node,
    origin: Origin,
    kind: PluginAuditKind,
    study: str,
    details: Mapping[str, AuditValue] | None = None,
) -> None:
    """Record that somebody looks at a study, or at a part of it, or begins to transfer it.

    Parameters
    ----------
    node : Node
    origin : Origin
    kind : PluginAuditKind
    study : str
        Study Instance UID; empty if it is about none.
    details : mapping of str to plain values

    Raises
    ------
    AuditFailedError
        It must not be shown, or transferred.
    """
    is_view = kind in {VIEWED, HISTORY_VIEWED, NODE_VIEWED}
    action = EventAction.READ if is_view else EventAction.EXECUTE
    objects = (AuditObject(AuditObjectKind.STUDY, study),) if study else ()
    event = AuditEvent(
        kind, Outcome.SUCCESS, origin, dict(details or {}), action=action, objects=objects
    )
    await node.audit.record(event)
