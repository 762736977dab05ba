"""OpenID Connect in the conformance statement."""

from collections.abc import Iterator

from pacs_auth_oidc.config import OidcConfig
from pacs_core.contracts import SecuritySection, SecurityStatement


def state_security(config: OidcConfig) -> Iterator[SecurityStatement]:
    """Yield whose word is taken, and in which form."""
    if not config.issuer:
        return
    tokens = (
        f"of {config.issuer}, for the audience {' or '.join(sorted(config.audiences))}, signed by "
        f"{', '.join(config.algorithms)}"
    )
    yield SecurityStatement(
        SecuritySection.ASSOCIATION,
        (
            f"User identity negotiation (PS3.7 D.3.3.7) with a JSON Web Token {tokens}. "
            "Others are rejected without a reason.",
        ),
    )
    yield SecurityStatement(
        SecuritySection.APPLICATION,
        (
            "People sign in by OpenID Connect (authorization code with PKCE). Requests of "
            f"machines bear a JSON Web Token (RFC 6750) {tokens}.",
            f"Requests without anybody's word are {config.anonymous}.",
        ),
    )
