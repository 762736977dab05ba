"""Identities in the conformance statement."""

from collections.abc import Iterator
from typing import Final

from pacs_auth_local.config import AuthLocalConfig
from pacs_core.contracts import SecuritySection, SecurityStatement

_ANONYMOUS: Final = {
    "auto": "Peers that do not say who they are may associate; over HTTP as long as there is "
    "neither user nor token.",
    "allowed": "Peers that do not say who they are may associate and send requests.",
    "refused": "Peers that do not say who they are are refused.",
}


def state_security(config: AuthLocalConfig) -> Iterator[SecurityStatement]:
    """Yield how users and machines show who they are."""
    profile = "the User Identity plus Passcode Association Profile (PS3.15 B.5)"
    if config.trust_usernames:
        profile = f"the Basic User Identity Association Profile (PS3.15 B.4) and {profile}"
    yield SecurityStatement(SecuritySection.PROFILES, (f"As acceptor: {profile}.",))
    username = "taken without a passcode" if config.trust_usernames else "not enough alone"
    yield SecurityStatement(
        SecuritySection.ASSOCIATION,
        (
            "User identity negotiation (PS3.7 D.3.3.7): username and passcode, in UTF-8, are "
            f"checked against the users of this node; a username is {username}. A positive "
            "response is sent if it is asked for, with an empty server response. Kerberos tickets "
            "and SAML assertions are rejected. Whoever is not known is rejected without a reason, "
            "transient while somebody has to wait.",
            _ANONYMOUS[config.anonymous],
            *_bindings(config),
        ),
    )
    lockout = config.lockout
    yield SecurityStatement(
        SecuritySection.APPLICATION,
        (
            "People sign in with name and password, kept as argon2 digests, and have a session "
            f"that ends after {config.idle:g} seconds without a request, and after "
            f"{config.absolute:g} in any case. Machines send API tokens (RFC 6750), kept as "
            "digests, which expire and can be revoked.",
            f"After {lockout.per_name} failures with a name, or {lockout.per_address} from an "
            f"address, the next has to wait, twice as long each time, up to "
            f"{lockout.longest:g} seconds.",
        ),
    )


def _bindings(config: AuthLocalConfig) -> Iterator[str]:
    if config.ae:
        bound = "; ".join(f"{each.title} to {', '.join(each.networks)}" for each in config.ae)
        others = "may" if config.unbound_ae_titles else "may not"
        yield f"AE titles are bound to addresses: {bound}. Others {others} associate."
    if config.certificate:
        names = ", ".join(each.name for each in config.certificate)
        yield f"TLS client certificates tell these apart: {names}."
