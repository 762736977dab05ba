"""Secured associations in log and audit trail."""

from pacs_core.contracts import AssociationInfo


def describe_tls(info: AssociationInfo) -> str:
    """Return how an association is secured, for the end of a log entry; empty if it is not."""
    if info.tls is None:
        return ""
    certificate = info.tls.certificate
    shown = f" by {certificate.subject!r}" if certificate else ""
    return f", secured by {info.tls.version} {info.tls.cipher_suite}{shown}"


def tls_details(info: AssociationInfo) -> dict[str, str]:
    """Return how an association is secured, for an audit event."""
    if info.tls is None:
        return {}
    details = {"tls": info.tls.version, "cipher_suite": info.tls.cipher_suite}
    if certificate := info.tls.certificate:
        details["certificate"] = certificate.subject
        details["certificate_fingerprint"] = certificate.fingerprint
    return details
