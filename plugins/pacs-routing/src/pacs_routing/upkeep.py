"""Upkeep of deliveries: gives up what has waited for too long, and forgets what was sent."""

import logging
from typing import Final

from attrs import define
from pacs_jobs.api import JobHandler, Progress, RunningJob

from pacs_core.contracts import AuditEvent, AuditValue, Node, Origin, Outcome
from pacs_routing.auditing import GIVEN_UP, count_given_up
from pacs_routing.interface import Deliveries
from pacs_routing.routes import Routes

logger = logging.getLogger(__name__)

UPKEEP_JOB: Final = "routing.upkeep"


@define(eq=False)
class UpkeepHandler(JobHandler):
    """Does all that is to be done now and then.

    Parameters
    ----------
    node : Node
    """

    node: Node

    async def run(self, job: RunningJob) -> None:
        """See base."""
        deliveries, config = self.node.find(Deliveries), self.node.find(Routes).config
        for total in await deliveries.expire(config.give_up_after):
            count_given_up(self.node.meter).add(total.count, peer=total.peer)
            reason = f"not sent for {config.give_up_after:g} days"
            logger.error("%s instances for %s: %s", total.count, total.peer, reason)
            details: dict[str, AuditValue] = {
                "peer": total.peer,
                "rule": total.rule,
                "reason": reason,
                "instances": total.count,
            }
            settings = self.node.settings
            origin = Origin("routing", called_ae_title=settings.ae_title, host=settings.host)
            await self.node.audit.record(AuditEvent(GIVEN_UP, Outcome.FAILURE, origin, details))
        forgotten = await deliveries.forget(config.keep)
        woken = await deliveries.wake()
        await job.report(Progress(note=f"{forgotten} deliveries forgotten, {woken} lanes woken"))
