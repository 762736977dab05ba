"""Weaknesses of a configuration of HL7, for ``pacs doctor security``."""

from collections.abc import Iterator

from pacs_core.contracts import PeerCertificates, SecurityFinding, Severity, is_loopback
from pacs_hl7.config import Hl7Config


def find_weaknesses(config: Hl7Config) -> Iterator[SecurityFinding]:
    """Iterate over what is weak: whoever can send messages can give images to another patient."""
    if config.port is not None and not is_loopback(config.host):
        if config.tls is None:
            what = f"HL7 messages to {config.host} are not encrypted"
            yield SecurityFinding(Severity.HIGH, what, "set [plugin.hl7.tls]")
        has_certificates = config.tls is not None and config.tls.peers is PeerCertificates.REQUIRED
        if not (config.allow or has_certificates):
            yield SecurityFinding(
                Severity.HIGH,
                "whoever reaches the port can merge patients by HL7",
                'name addresses in allow, or ask for certificates: tls.peers = "required"',
            )
    for name, peer in config.peers.items():
        if peer.tls is None and not is_loopback(peer.host):
            what = f"HL7 messages to {name} are not encrypted"
            yield SecurityFinding(Severity.MEDIUM, what, f"set [plugin.hl7.peers.{name}.tls]")
