"""State that accepted associations share, and the record of those that are refused."""

import logging
from collections.abc import Callable, Mapping

from attrs import frozen

from pacs_core.association.budget import ByteBudget
from pacs_core.association.hosts import Hosts, host_of
from pacs_core.association.services import Services
from pacs_core.association.settings import NetworkSettings
from pacs_core.contracts import AuditEvent, AuditKind, AuditTrail, Origin, Outcome

logger = logging.getLogger(__name__)


@frozen
class Acceptance:
    """What every association of a node shares.

    Attributes
    ----------
    ae_title : str
    settings : NetworkSettings
    services : Services
    audit : AuditTrail
    budget : ByteBudget
        Memory for datasets that arrive.
    has_room : callable
        Whether the node may serve one more association.
    hosts : Hosts
    established : callable
        Counts the associations of a host.
    """

    ae_title: str
    settings: NetworkSettings
    services: Services
    audit: AuditTrail
    budget: ByteBudget
    has_room: Callable[[], bool]
    hosts: Hosts
    established: Callable[[str], int]

    async def record_refusal(self, origin: Origin, reason: str, **details: str | int) -> None:
        """Write down that an association was refused, unless too many of its host were."""
        if not self.hosts.reports(host_of(origin.host)):
            return
        who = origin.association or "listener"
        logger.warning("%s: refused %s:%s: %s", who, origin.host, origin.port, reason)
        await self._record(origin, reason, details)

    async def record_suppressed(self, *, everything: bool = False) -> None:
        """Write down how many refusals were not written down one by one."""
        for host, count in self.hosts.take_suppressed(everything=everything):
            reason = "too many refusals to record each"
            logger.warning("%s: %d more associations were refused: %s", host, count, reason)
            await self._record(Origin("DIMSE", host=host), reason, {"suppressed": count})

    async def _record(self, origin: Origin, reason: str, details: Mapping[str, str | int]) -> None:
        what = {"reason": reason, **details}
        await self.audit.record(
            AuditEvent(AuditKind.ASSOCIATION_REFUSED, Outcome.FAILURE, origin, what)
        )
