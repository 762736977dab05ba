"""The web server in the conformance statement."""

from collections.abc import Iterator

from pacs_core.contracts import SecuritySection, SecurityStatement
from pacs_web.config import WebConfig


def state_security(config: WebConfig) -> Iterator[SecurityStatement]:
    """Yield what is secured by TLS."""
    text = "HTTP is not secured by TLS: what is in front of the server has to."
    if config.tls is not None:
        text = (
            f"HTTP is secured by TLS under {config.tls.profile.title}. Certificates of clients are "
            f"{config.tls.peers.value}."
        )
    yield SecurityStatement(SecuritySection.PROFILES, (text,))
