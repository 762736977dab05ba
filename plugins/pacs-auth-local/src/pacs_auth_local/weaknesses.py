"""Weaknesses of how people and machines say who they are, for ``pacs doctor security``."""

import ipaddress
from collections.abc import Iterator
from typing import Final

from pacs_auth_local.config import AuthLocalConfig
from pacs_core.contracts import SecurityFinding, Severity

_PATIENT: Final = 50
"""Guesses at the password of one name that are too many."""
_TABLE: Final = "[plugin.auth-local]"


def find_weaknesses(config: AuthLocalConfig) -> Iterator[SecurityFinding]:
    """Iterate over what is weak."""
    if config.anonymous == "allowed":
        what = "whoever does not say who it is may come, over HTTP as well"
        yield SecurityFinding(Severity.HIGH, what, f'set anonymous = "refused" in {_TABLE}')
    if config.trust_usernames:
        what = "a user name without a password is believed"
        yield SecurityFinding(Severity.HIGH, what, f"remove trust_usernames from {_TABLE}")
    if config.ae and config.unbound_ae_titles:
        what = "AE titles that are bound to no address may come from anywhere"
        action = f"set unbound_ae_titles = false in {_TABLE}, and bind the others"
        yield SecurityFinding(Severity.MEDIUM, what, action)
    for rule in config.ae:
        for network in rule.networks:
            if ipaddress.ip_network(network).prefixlen == 0:
                what = f"the AE title {rule.title} is bound to {network}, which is every address"
                yield SecurityFinding(Severity.MEDIUM, what, "name the addresses of the device")
    if max(config.lockout.per_name, config.lockout.per_address // 4) > _PATIENT:
        what = "passwords may be guessed many times before anybody has to wait"
        yield SecurityFinding(Severity.MEDIUM, what, f"lower the limits of lockout in {_TABLE}")
