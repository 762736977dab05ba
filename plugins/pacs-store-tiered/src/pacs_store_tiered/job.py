"""The job that moves what policies say."""

import logging

from attrs import define
from pacs_jobs.api import JobFailedError, JobHandler, Progress, RunningJob

from pacs_core.api.streams import closing
from pacs_core.contracts import Node, Origin
from pacs_store_tiered.config import TieringConfig
from pacs_store_tiered.migration import Migration
from pacs_store_tiered.planning import Planner

_log = logging.getLogger(__name__)


@define(eq=False)
class MigrateHandler(JobHandler):
    """Runs a migration; one that was cut short is simply run again.

    Parameters
    ----------
    node : Node
    config : TieringConfig
    """

    node: Node
    config: TieringConfig

    async def run(self, job: RunningJob) -> None:
        """Move until nothing more is to move."""
        settings = self.node.settings
        origin = Origin("jobs", called_ae_title=settings.ae_title, host=settings.host)
        migration = Migration(self.node, self.config.rate, origin)
        planned = Planner(self.node, self.config).moves()
        try:
            async with closing(migration.run(planned)) as moves:
                async for _ in moves:
                    done = Progress(migration.report.moved, note=str(migration.report))
                    await job.report(done)
        except LookupError as error:
            raise JobFailedError(str(error)) from error
        await job.report(Progress(migration.report.moved, note=str(migration.report)))
        _log.info("migration between tiers: %s", migration.report)
        if migration.report.failed:
            raise OSError(f"{migration.report}: the log names each object that stays")
