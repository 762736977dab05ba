"""The hook that this plugin publishes."""

from collections.abc import Sequence

from pacs_core.contracts import Setup
from pacs_core.plugins import hookspec
from pacs_jobs.jobs import JobKind


@hookspec
def pacs_job_kinds(setup: Setup) -> Sequence[JobKind]:
    """Return the kinds of jobs that this plugin does.

    Called when the node begins to serve, in each worker. A kind whose name another plugin has, or
    whose schedule is no cron expression, quarantines its plugin; a handler that does not start does
    as well, and its jobs wait.

    Example
    -------
    ::

        class Sweep(JobHandler):
            def __init__(self, node: Node) -> None:
                self.node = node

            async def run(self, job: RunningJob) -> None:
                await job.report(Progress(note="sweeping"))


        @hookimpl(optionalhook=True)
        def pacs_job_kinds(setup: Setup) -> list[JobKind]:
            return [JobKind("acme.sweep", Sweep, schedule="0 3 * * *")]
    """
    raise NotImplementedError
