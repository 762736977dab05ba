"""The table ``[plugin.auth-oidc]``."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from attrs import field, frozen
from attrs.validators import ge, gt

from pacs_core.contracts import Secret

ASYMMETRIC: Final = frozenset(
    {
        "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
        "Ed25519", "Ed448",
    }
)  # fmt: skip
"""Signatures that who checks them cannot make (RFC 7518 §3.1, RFC 8037, RFC 9864)."""


@frozen
class OidcConfig:
    """Whose word on people and machines is taken, and what is made of it.

    Attributes
    ----------
    issuer : str
        Of the identity provider, exactly as its tokens say it; without, the plugin does nothing.
    client_id : str
        Of this node at the provider.
    client_secret : Secret or None
        None for a public client.
    audience : tuple of str
        Audiences of which bearer tokens must name one; the client ID if empty.
    algorithms : tuple of str
        Signatures that are taken; never one with a shared secret.
    name_claim : str
        Claim that becomes the principal's name. It must be one that its owner cannot choose.
    roles_claim : str
        Claim with roles, with dots for members within: ``"realm_access.roles"``.
    roles : mapping of str to str
        Roles of the node by those of the provider; others are left out. Empty: as they are.
    scopes : tuple of str
        What people are asked for besides ``openid``.
    title : str
        Of the link on the page to sign in.
    anonymous : ``"refused"`` or ``"allowed"``
        Whether requests over HTTP may come without anybody's word.
    leeway : int
        Seconds by which clocks may differ.
    keys_for : float
        Seconds for which keys of the provider are used without asking again.
    timeout : float
        Seconds for the provider to answer.
    ca : Path or None
        PEM: CAs that vouch for the provider; None for the system's.
    """

    issuer: str = ""
    client_id: str = ""
    client_secret: Secret | None = None
    audience: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = ("RS256", "PS256", "ES256", "Ed25519", "EdDSA")
    name_claim: str = "preferred_username"
    roles_claim: str = "roles"
    roles: Mapping[str, str] = field(factory=dict)
    scopes: tuple[str, ...] = ("profile",)
    title: str = "Sign in with single sign-on"
    anonymous: Literal["refused", "allowed"] = "refused"
    leeway: int = field(default=60, validator=ge(0))
    keys_for: float = field(default=3600.0, validator=gt(0.0))
    timeout: float = field(default=10.0, validator=gt(0.0))
    ca: Path | None = None

    @property
    def audiences(self) -> frozenset[str]:
        """Of bearer tokens."""
        return frozenset(self.audience or (self.client_id,))

    def problems(self) -> Iterator[str]:
        """Iterate over what is wrong beyond types."""
        if not self.issuer:
            return
        if not is_safe_url(self.issuer):
            yield f"issuer: {self.issuer!r}: its tokens must come over https"
        if not self.client_id:
            yield "client_id: say which client of the provider this node is"
        for each in sorted(set(self.algorithms) - ASYMMETRIC):
            yield f"algorithms: {each!r} is none of {', '.join(sorted(ASYMMETRIC))}"
        if not self.algorithms:
            yield "algorithms: name one at least"


def is_safe_url(url: str) -> bool:
    """Tell whether nobody on the way reads or changes what is asked for: https, or this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.username is not None or parts.fragment or not host:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
