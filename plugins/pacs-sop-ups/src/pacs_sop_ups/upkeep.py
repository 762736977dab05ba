"""Upkeep of steps: a report at start that the node is there, and forgetting every night."""

import time

import anyio
from attrs import define
from pacs_jobs.api import JobHandler, Progress, RunningJob

from pacs_core.contracts import Node, Service, Setup, Started
from pacs_sop_ups.config import UpsConfig
from pacs_sop_ups.interface import UnifiedProcedureSteps
from pacs_sop_ups.sending import database_steps_of

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
        now = time.time()
        count = await steps.forget(ended_before=now - self.config.keep_ended * _DAY)
        await database_steps_of(self.node).outbox.drop(now - self.config.keep_events * _DAY)
        await job.report(Progress(count, count, f"{count} steps forgotten"))


@define(eq=False)
class Announce(Service):
    """Tells whoever follows a step that the node is there again."""

    node: Node

    async def run(self, started: Started) -> None:
        """Tell them once."""
        await database_steps_of(self.node).announce()
        started()
        await anyio.sleep_forever()
