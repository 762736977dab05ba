"""The job that forgets old steps, every night."""

import time

from attrs import define
from pacs_jobs.api import JobHandler, Progress, RunningJob

from pacs_core.contracts import Node, Setup
from pacs_sop_ups.config import UpsConfig
from pacs_sop_ups.interface import UnifiedProcedureSteps

_DAY = 86400.0


@define(eq=False)
class ForgetOldSteps(JobHandler):
    """Forgets steps that ended as long ago as the site keeps them.

    Parameters
    ----------
    node : Node
    config : UpsConfig
    """

    node: Node
    config: UpsConfig

    async def reconfigure(self, setup: Setup) -> None:
        """Go by other settings the next time."""
        self.config = setup.config(UpsConfig)

    async def run(self, job: RunningJob) -> None:
        """Forget."""
        steps = self.node.find(UnifiedProcedureSteps)
        count = await steps.forget(ended_before=time.time() - self.config.keep_ended * _DAY)
        await job.report(Progress(count, count, f"{count} steps forgotten"))
