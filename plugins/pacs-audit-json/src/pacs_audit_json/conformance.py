"""The audit trail in the conformance statement."""

from collections.abc import Iterator

from pacs_audit_json.config import STANDARD_OUTPUT, AuditJsonConfig
from pacs_core.contracts import SecuritySection, SecurityStatement


def state_security(config: AuditJsonConfig) -> Iterator[SecurityStatement]:
    """Yield what is recorded, and how it is protected."""
    where = "standard output" if config.path == STANDARD_OUTPUT else "files of the node"
    acknowledged = (
        "What cannot be recorded is not acknowledged."
        if config.required
        else "What cannot be recorded is carried out all the same."
    )
    chained = (
        " Each record carries the digest of the one before (SHA-256), and the end of the chain is "
        f"signed (Ed25519) when {config.checkpoint_seconds:g} seconds have passed."
        if config.chain and config.path != STANDARD_OUTPUT
        else ""
    )
    text = f"Events are recorded as lines of JSON in {where}. {acknowledged}{chained}"
    yield SecurityStatement(SecuritySection.PROFILES, (text,))
