"""The record that somebody has read the trail (PS3.15 A.5.3.2, Audit Log Used)."""

from collections.abc import Mapping
from typing import Final

from pacs_core.api.commands import Assembly, local_origin, open_sinks
from pacs_core.contracts import (
    AuditCode,
    AuditEvent,
    AuditObject,
    AuditObjectKind,
    AuditValue,
    EventAction,
    Outcome,
    PluginAuditKind,
)

AUDIT_LOG_USED: Final = PluginAuditKind(
    "audit-json.read", AuditCode("110101", "DCM", "Audit Log Used")
)


async def record_use(assembly: Assembly, command: str, details: Mapping[str, AuditValue]) -> None:
    """Record that a command has read the trail."""
    log = AuditObject(AuditObjectKind.URI, "audit-json", "Security Audit Log")
    event = AuditEvent(
        AUDIT_LOG_USED,
        Outcome.SUCCESS,
        local_origin(f"pacs audit {command}"),
        dict(details),
        action=EventAction.READ,
        objects=(log,),
    )
    async with open_sinks(assembly) as audit:
        await audit.record(event)
