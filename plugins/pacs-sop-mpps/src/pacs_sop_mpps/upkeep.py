"""The job that forgets old steps, every night."""

import time

from attrs import define
from pacs_jobs.api import JobHandler, Progress, RunningJob

from pacs_core.contracts import Node, Setup
from pacs_sop_mpps.config import MppsConfig
from pacs_sop_mpps.interface import PerformedProcedureSteps

_DAY = 86400.0


@define(eq=False)
class ForgetOldSteps(JobHandler):
    """Forgets steps that have not changed for as long as the site keeps them.

    Parameters
    ----------
    node : Node
    config : MppsConfig
    """

    node: Node
    config: MppsConfig

    async def reconfigure(self, setup: Setup) -> None:
        """Go by other settings the next time."""
        self.config = setup.config(MppsConfig)

    async def run(self, job: RunningJob) -> None:
        """Forget."""
        config, now = self.config, time.time()
        count = await self.node.find(PerformedProcedureSteps).forget(
            ended_before=now - config.keep_ended * _DAY,
            in_progress_before=now - config.keep_in_progress * _DAY,
        )
        await job.report(Progress(count, count, f"{count} steps forgotten"))
