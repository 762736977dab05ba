"""SOP Class UIDs of performed steps (PS3.4 F.7.3, F.8.3, F.9.3), and how it is audited."""

from typing import Final

from pacs_core.contracts import AuditCode, PluginAuditKind

MPPS: Final = "1.2.840.10008.3.1.2.3.3"
MPPS_RETRIEVE: Final = "1.2.840.10008.3.1.2.3.4"
MPPS_NOTIFICATION: Final = "1.2.840.10008.3.1.2.3.5"

TOLD: Final = PluginAuditKind("mpps.told", AuditCode("110111", "DCM", "Procedure Record"))
"""A peer was told of a performed step."""
