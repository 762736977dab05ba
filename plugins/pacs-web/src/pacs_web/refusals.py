"""Refusals of requests and connections, in the log and in the audit trail.

Whoever is refused can make any number of requests: of each address the first of a minute are
recorded one by one, the others as a number.
"""

import logging
from collections import OrderedDict
from time import monotonic
from typing import Final

import anyio
from attrs import define, frozen

from pacs_core.contracts import (
    AuditCode,
    AuditEvent,
    AuditFailedError,
    AuditTrail,
    Origin,
    Outcome,
    PluginAuditKind,
)

logger = logging.getLogger("pacs_web")

REFUSED: Final = PluginAuditKind("web.refused", AuditCode("110113", "DCM", "Security Alert"))
"""A request or a connection was refused before any route was asked (PS3.15 A.5.3.11)."""

PERIOD: Final = 60.0
RECORDED: Final = 20
"""Refusals of an address in a period that are recorded one by one."""
_MOST_HOSTS: Final = 1024
_MOST_WAITING: Final = 256


@define
class _Count:
    begun: float
    refusals: int = 0


@frozen
class _Refusal:
    origin: Origin
    reason: str


class Refusals:
    """What was refused.

    Parameters
    ----------
    audit : AuditTrail
    """

    def __init__(self, audit: AuditTrail) -> None:
        self._audit = audit
        self._counts: OrderedDict[str, _Count] = OrderedDict()
        self._send, self._receive = anyio.create_memory_object_stream[_Refusal](_MOST_WAITING)

    def report(self, host: str, reason: str) -> None:
        """Note a refusal of an address."""
        self.note(Origin("HTTP", host=host), reason)

    def note(self, origin: Origin, reason: str) -> None:
        """Note a refusal."""
        count = self._count(origin.host)
        count.refusals += 1
        if count.refusals > RECORDED:
            return
        more = "; more of them are not recorded for a minute" * (count.refusals == RECORDED)
        logger.warning("%s: refused: %s%s", origin.host or "?", reason, more)
        try:
            self._send.send_nowait(_Refusal(origin, reason + more))
        except anyio.WouldBlock:
            logger.warning("refusals are not audited: the audit trail is too slow")
        except anyio.ClosedResourceError:
            logger.warning("a refusal is not audited: the server is ending")

    def _count(self, host: str) -> _Count:
        known = self._counts.get(host)
        if known is None or monotonic() - known.begun > PERIOD:
            known = self._counts[host] = _Count(monotonic())
            self._counts.move_to_end(host)
            if len(self._counts) > _MOST_HOSTS:
                self._counts.popitem(last=False)
        return known

    async def record(self) -> None:
        """Record what is noted, until cancelled."""
        try:
            async for each in self._receive:
                await self._write(each)
        finally:
            with anyio.CancelScope(shield=True):
                while self._receive.statistics().current_buffer_used:
                    await self._write(self._receive.receive_nowait())
            self._receive.close()
            self._send.close()

    async def _write(self, refusal: _Refusal) -> None:
        details = {"reason": refusal.reason}
        event = AuditEvent(REFUSED, Outcome.FAILURE, refusal.origin, details)
        try:
            await self._audit.record(event)
        except AuditFailedError as error:
            logger.warning("a refusal could not be audited: %s", error)
