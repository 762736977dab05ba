"""The record that somebody has read the trail (PS3.15 A.5.3.2, Audit Log Used)."""

import getpass
import os
from collections.abc import Mapping
from typing import Final

from pacs_core.api.commands import Assembly, open_sinks
from pacs_core.contracts import (
    AuditCode,
    AuditEvent,
    AuditObject,
    AuditObjectKind,
    AuditValue,
    EventAction,
    Origin,
    Outcome,
    PluginAuditKind,
    Principal,
)

AUDIT_LOG_USED: Final = PluginAuditKind(
    "audit-json.read", AuditCode("110101", "DCM", "Audit Log Used")
)


async def record_use(assembly: Assembly, command: str, details: Mapping[str, AuditValue]) -> None:
    """Record that a command has read the trail."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = str(os.getuid())
    origin = Origin("pacs audit " + command, principal=Principal(user, method="local"))
    log = AuditObject(AuditObjectKind.URI, "audit-json", "Security Audit Log")
    event = AuditEvent(
        AUDIT_LOG_USED,
        Outcome.SUCCESS,
        origin,
        dict(details),
        action=EventAction.READ,
        objects=(log,),
    )
    async with open_sinks(assembly) as audit:
        await audit.record(event)
