"""Kinds of events about who signs in, and about what is changed of that (PS3.15 A.5.3)."""

from typing import Final

from pacs_core.contracts import AuditCode, PluginAuditKind

_AUTHENTICATION: Final = AuditCode("110114", "DCM", "User Authentication")

LOGIN: Final = PluginAuditKind(
    "auth-local.login", _AUTHENTICATION, AuditCode("110122", "DCM", "Login")
)
"""Somebody has signed in with a browser, or tried to (PS3.15 A.5.3.12)."""

LOGOUT: Final = PluginAuditKind(
    "auth-local.logout", _AUTHENTICATION, AuditCode("110123", "DCM", "Logout")
)
FAILED: Final = PluginAuditKind("auth-local.failed", _AUTHENTICATION)
"""A name and a password were wrong, at either door."""

LOCKED: Final = PluginAuditKind("auth-local.locked", AuditCode("110113", "DCM", "Security Alert"))
"""A name, an address or both have to wait after failures (PS3.15 A.5.3.11)."""

CHANGED: Final = PluginAuditKind(
    "auth-local.changed",
    AuditCode("110113", "DCM", "Security Alert"),
    AuditCode("110137", "DCM", "User security Attributes Changed"),
)
"""Users or tokens were changed."""
