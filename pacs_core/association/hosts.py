"""The share of each host in what a node has: connections, associations, requests, log entries.

A host is an IPv4 address, or the first 64 bits of an IPv6 address, of which one machine has as many
as it likes. Connections without an association (half-open: it was not negotiated yet, or has ended
and the peer lingers) are bounded by letting the oldest go: those of a peer that means it live for
some milliseconds, those of one that only connects for as long as it may. So a flood displaces
itself, and nobody else.

In a node of several workers each sees its own connections, and grants its part of the limits.
"""

from collections import OrderedDict
from collections.abc import Iterable
from ipaddress import IPv6Address
from time import monotonic
from typing import Final, Protocol

from attrs import define, field

from pacs_core.association.settings import NetworkSettings

# Theory of operation
#
# All limits here are by host, since everything else about a peer is its own to choose: AE titles,
# ports, and 64 bits of an IPv6 address. They answer four kinds of flood:
#
#   connections   the oldest half-open one goes, first of the same host, then of the busiest
#   associations  refused beyond a number open at once, and beyond a rate
#   requests      read no faster than a rate; nothing is refused, TCP slows the peer down
#   refusals      written down one by one up to a number, then only counted
#
# What is remembered of hosts is bounded too (_MOST_HOSTS): the one that was met longest ago is
# forgotten, which at worst grants it a fresh start.

_MOST_HOSTS: Final = 4096
PERIOD: Final = 60.0
"""Seconds after which refusals of a host are written down one by one again."""


def host_of(address: str) -> str:
    """Return what connections from an address are counted under."""
    if ":" not in address:
        return address
    prefix = int(IPv6Address(address.partition("%")[0])) >> 64 << 64
    return f"{IPv6Address(prefix)}/64"


@define
class TokenBucket:
    """So many things a second, and no more at once than in one second.

    Parameters
    ----------
    rate : float
        In one second.
    """

    rate: float
    _tokens: float = field(init=False)
    _at: float = field(factory=monotonic, init=False)

    def __attrs_post_init__(self) -> None:
        self._tokens = max(self.rate, 1.0)

    def take(self, count: int = 1) -> float:
        """Take account of things that were done; return the seconds to wait before the next."""
        now = monotonic()
        self._tokens = min(self._tokens + (now - self._at) * self.rate, max(self.rate, 1.0))
        self._at = now
        self._tokens -= count
        return max(-self._tokens / self.rate, 0.0)

    def allows(self) -> bool:
        """Take account of one thing, if it may be done now."""
        if self.take() == 0.0:
            return True
        self._tokens += 1
        return False


@define
class _Refusals:
    begun: float
    count: int = 0
    suppressed: int = 0


class Connection(Protocol):
    """What is counted: an acceptor."""

    @property
    def host(self) -> str:
        """See :func:`host_of`."""

    @property
    def is_established(self) -> bool:
        """Whether it has an association."""

    def displace(self, reason: str) -> None:
        """End it, for another."""


class Hosts:
    """Counts by host.

    Parameters
    ----------
    settings : NetworkSettings
    workers : int
        By which the limits are divided.
    """

    def __init__(self, settings: NetworkSettings, workers: int) -> None:
        self._settings = settings
        self._workers = workers
        self._associating: OrderedDict[str, TokenBucket] = OrderedDict()
        self._requesting: OrderedDict[str, TokenBucket] = OrderedDict()
        self._refusals: OrderedDict[str, _Refusals] = OrderedDict()

    def _share(self, limit: int) -> int:
        return max(-(-limit // self._workers), 1)

    def reconfigure(self, settings: NetworkSettings) -> None:
        """Count under other settings from now on; what was counted stays."""
        if settings.associations_per_second != self._settings.associations_per_second:
            self._associating.clear()
        if settings.requests_per_second != self._settings.requests_per_second:
            self._requesting.clear()
        self._settings = settings

    # --- half-open connections

    def make_room(self, connections: Iterable[Connection]) -> None:
        """Let the oldest half-open connection go if there are too many.

        Parameters
        ----------
        connections : iterable of Connection
            All there are, the oldest first; the last was made just now.
        """
        half_open = [each for each in connections if not each.is_established]
        host = half_open[-1].host
        own = [each for each in half_open if each.host == host]
        if len(own) > self._share(self._settings.max_half_open_per_host):
            own[0].displace(f"too many half-open connections from {host}")
        elif len(half_open) > self._share(self._settings.max_half_open):
            _of_the_busiest(half_open).displace("too many half-open connections")

    # --- associations and requests

    def refusal(self, host: str, established: int) -> str:
        """Return why a host may not have one more association; empty if it may.

        Parameters
        ----------
        host : str
        established : int
            Associations that it has.
        """
        limit = self._settings.associations_per_host
        if established >= self._share(limit):
            return f"{established} associations of {host} are open already"
        rate = self._settings.associations_per_second
        if rate and not _bucket_of(self._associating, host, rate / self._workers).allows():
            return f"{host} asks for more than {rate:g} associations a second"
        return ""

    def pace(self, host: str) -> TokenBucket | None:
        """Return at what pace a host's requests are read; None at any."""
        rate = self._settings.requests_per_second
        return _bucket_of(self._requesting, host, rate / self._workers) if rate else None

    # --- what is written about refusals

    def reports(self, host: str) -> bool:
        """Tell whether one more refusal of a host is to be written down by itself."""
        known = self._refusals.get(host)
        if known is None:
            if len(self._refusals) >= _MOST_HOSTS:
                host = "other hosts"
            known = self._refusals.setdefault(host, _Refusals(monotonic()))
        known.count += 1
        if known.count <= self._settings.refusals_recorded:
            return True
        known.suppressed += 1
        return False

    def take_suppressed(self, *, everything: bool = False) -> list[tuple[str, int]]:
        """Return hosts whose period has ended, and how many refusals were not written down."""
        due = [
            host
            for host, known in self._refusals.items()
            if everything or monotonic() - known.begun >= PERIOD
        ]
        found = [(host, self._refusals.pop(host).suppressed) for host in due]
        return [(host, count) for host, count in found if count]


# When there are too many half-open connections, one must go. It is the oldest of the host that has
# most of them, hence never that of a host with a single one while another has several: who floods
# displaces itself.
def _of_the_busiest(connections: Iterable[Connection]) -> Connection:
    """Return the oldest connection of the host that has most."""
    by_host: dict[str, list[Connection]] = {}
    for each in connections:
        by_host.setdefault(each.host, []).append(each)
    return max(by_host.values(), key=len)[0]


def _bucket_of(paces: OrderedDict[str, TokenBucket], host: str, rate: float) -> TokenBucket:
    pace = paces.get(host)
    if pace is None:
        pace = paces[host] = TokenBucket(rate)
        if len(paces) > _MOST_HOSTS:
            paces.popitem(last=False)
    paces.move_to_end(host)
    return pace
