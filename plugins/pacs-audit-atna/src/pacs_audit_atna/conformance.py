"""Audit messages in the conformance statement."""

from collections.abc import Iterator
from typing import Final

from pacs_audit_atna.config import AuditAtnaConfig
from pacs_core.contracts import SecuritySection, SecurityStatement

_FORMAT: Final = "the Audit Trail Message Format Profile (PS3.15 A.5)"
_TRANSMISSION: Final = {
    "tls": f"{_FORMAT}, and the Audit Trail Message Transmission Profile - SYSLOG-TLS (PS3.15 A.6)",
    "udp": f"{_FORMAT}, and the Audit Trail Message Transmission Profile - SYSLOG-UDP (PS3.15 A.7)",
    "tcp": f"{_FORMAT}, over syslog with TCP",
    "https": "FHIR R4 AuditEvent resources (IHE BALP), over HTTPS",
    "http": "FHIR R4 AuditEvent resources (IHE BALP), over HTTP",
}


def state_security(config: AuditAtnaConfig) -> Iterator[SecurityStatement]:
    """Yield in which form events go where."""
    if not config.collector:
        return
    full = "refused" if config.when_full == "fail" else "dropped, and counted"
    acknowledged = " What cannot be spooled is not acknowledged." if config.required else ""
    yield SecurityStatement(
        SecuritySection.PROFILES,
        (
            f"Audit messages: {_TRANSMISSION[config.address.scheme]}. While the collector is away "
            f"up to {config.spool_bytes} bytes of events wait on disk, and further ones are "
            f"{full}.{acknowledged}",
        ),
    )
