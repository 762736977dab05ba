"""The jobs of lifecycle: rules applied, and the bin emptied."""

import logging
import time
from collections.abc import Callable

from attrs import define, field
from pacs_jobs.api import Progress, RunningJob

from pacs_core.api.commands import count
from pacs_core.api.streams import closing
from pacs_core.contracts import Node
from pacs_lifecycle.config import LifecycleConfig
from pacs_lifecycle.emptying import Emptying
from pacs_lifecycle.handlers import LifecycleHandler
from pacs_lifecycle.origins import job_origin
from pacs_lifecycle.planning import Judgement, Planner, carry_out
from pacs_lifecycle.rules import DAY

_log = logging.getLogger(__name__)


@define
class SweepReport:
    """What rules have deleted, and what stayed all the same."""

    studies: int = 0
    instances: int = 0
    held: int = 0
    failures: list[str] = field(factory=list)

    def __str__(self) -> str:
        return (
            f"{count(self.studies, 'study', 'studies')} deleted "
            f"({count(self.instances, 'instance')}), {self.held} held, "
            f"{len(self.failures)} failed"
        )


async def sweep(
    node: Node, config: LifecycleConfig, told: Callable[[Judgement], None] | None = None
) -> SweepReport:
    """Delete what the rules say, study by study."""
    report = SweepReport()
    async with closing(Planner(node, config).judge()) as judgements:
        async for each in judgements:
            if told is not None:
                told(each)
            if not each.goes:
                report.held += each.rule.deletes
                continue
            deleted = await carry_out(node, each)
            report.instances += deleted.instances
            report.studies += bool(deleted.instances) and not deleted.failures
            report.held += bool(deleted.held)
            report.failures += deleted.failures.values()
    _log.info("rules applied: %s", report)
    return report


@define(eq=False)
class SweepHandler(LifecycleHandler):
    """Deletes what rules say; one that was cut short is simply run again."""

    async def run(self, job: RunningJob) -> None:
        """See base."""
        seen = 0

        def note(judgement: Judgement) -> None:
            nonlocal seen
            seen += 1
            job.progress = Progress(seen, note=f"{judgement.rule.name}: {judgement.study.uid}")

        report = await sweep(self.node, self.config, note)
        await job.report(Progress(seen, note=str(report)))
        if report.failures:
            raise OSError(f"{report}: {report.failures[0]}")


@define(eq=False)
class EmptyHandler(LifecycleHandler):
    """Removes what has waited in the bin for long enough."""

    async def run(self, job: RunningJob) -> None:
        """See base."""
        emptying = Emptying(self.node, job_origin(self.node.settings))
        report = await emptying.purge(before=time.time() - self.config.bin.keep * DAY)
        await job.report(Progress(report.instances, note=f"{report.size / 1e6:.1f} MB freed"))
        if report.failures:
            raise OSError(f"{len(report.failures)} objects stay: {report.failures[0]}")
