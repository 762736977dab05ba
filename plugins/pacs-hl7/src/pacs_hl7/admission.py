"""Admission of connections: from which addresses, how many, and a record of those refused."""

import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_network
from typing import Final

from attrs import define, field

from pacs_core.contracts import (
    AuditCode,
    AuditEvent,
    AuditTrail,
    EventAction,
    Origin,
    Outcome,
    PluginAuditKind,
)
from pacs_hl7.config import Hl7Config

logger = logging.getLogger(__name__)

REFUSED: Final = PluginAuditKind("hl7.refused", AuditCode("110113", "DCM", "Security Alert"))

_AGAIN: Final = 60.0
"""Seconds after which a host that is refused is named again."""
_MOST_HOSTS: Final = 1000
"""That are remembered as refused."""


class RefusedConnectionError(Exception):
    """A connection is not served; says why."""


@define(eq=False)
class Admission:
    """Who is connected, and who may be.

    Parameters
    ----------
    config : Hl7Config
        May be replaced at any time.
    audit : AuditTrail
    """

    config: Hl7Config
    audit: AuditTrail
    _open: Counter[str] = field(factory=Counter, init=False)
    _named: dict[str, float] = field(factory=dict, init=False)

    @contextmanager
    def admit(self, host: str) -> Iterator[None]:
        """Count a connection for a ``with`` block.

        Raises
        ------
        RefusedConnectionError
        """
        if reason := self._refusal(host):
            raise RefusedConnectionError(reason)
        self._open[host] += 1
        try:
            yield
        finally:
            self._open -= Counter((host,))

    async def refuse(self, origin: Origin, reason: str) -> None:
        """Log and record that a connection is refused, of each host now and then."""
        now = time.monotonic()
        if now - self._named.get(origin.host, -_AGAIN) < _AGAIN:
            return
        if len(self._named) >= _MOST_HOSTS:
            self._named.clear()
        self._named[origin.host] = now
        logger.warning("HL7 connection from %s is refused: %s", origin.host, reason)
        details = {"reason": reason}
        event = AuditEvent(
            REFUSED, Outcome.FAILURE, origin, {**details}, action=EventAction.EXECUTE
        )
        await self.audit.record(event)

    def _refusal(self, host: str) -> str:
        config = self.config
        address = ip_address(host.partition("%")[0])
        # A socket for both protocols shows addresses of IPv4 as IPv6.
        address = getattr(address, "ipv4_mapped", None) or address
        if config.allow and not any(address in ip_network(name) for name in config.allow):
            return "its address is not in plugin.hl7.allow"
        if self._open[host] >= config.connections_per_address:
            return f"it has {config.connections_per_address} connections already"
        if self._open.total() >= config.max_connections:
            return f"there are {config.max_connections} connections already"
        return ""
