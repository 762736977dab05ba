"""Findings of ``pacs doctor security``: what is weak in a configuration, and what to change."""

import ipaddress
from enum import Enum

from attrs import frozen


class Severity(Enum):
    """How much a weakness matters on a network that is not trusted."""

    HIGH = "high"
    """Whoever reaches the node can read, change or take what it has."""
    MEDIUM = "medium"
    """One more mistake, or somebody on this machine, is enough for that."""
    LOW = "low"
    """Good practice is otherwise."""


@frozen
class SecurityFinding:
    """Something that is weak.

    Attributes
    ----------
    severity : Severity
    what : str
        A sentence; begins with a small letter, without a full stop.
    action : str
        What to change: names the key of the configuration.
    """

    severity: Severity
    what: str
    action: str


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches what listens on a host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
