"""``pacs jobs``."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import anyio
from cyclopts import Parameter

from pacs_core.api.commands import (
    CommandError,
    ConfigOption,
    JsonOption,
    UsageError,
    dump_json,
    open_node,
    print_rows,
    say,
)
from pacs_core.api.streams import closing, take
from pacs_jobs.description import describe
from pacs_jobs.jobs import Job, JobState
from pacs_jobs.queue import JobFilter, JobQueue

_COLUMNS = {
    "NUMBER": 8,
    "KIND": 24,
    "STATE": 11,
    "TRIES": 7,
    "DUE OR ENDED": 21,
    "PROGRESS": 20,
    "ERROR": 0,
}
"""Of the list, with their widths."""


def list_jobs(
    *kinds: str,
    state: Annotated[tuple[JobState, ...], Parameter(negative=())] = (),
    key: str = "",
    limit: int = 50,
    json_lines: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List jobs, latest first.

    Parameters
    ----------
    kinds
        Only of these kinds.
    state
        Only those in this state; may be given several times.
    key
        Only those with this key.
    limit
        How many at most.
    json_lines
        Print a JSON object a line, with all that is known.
    """

    async def run() -> None:
        async with _queue(config) as queue:
            found = queue.jobs(JobFilter(kinds, state, key))
            if not json_lines:
                await print_rows(_COLUMNS, found, _cells, limit)
                return
            async with closing(take(found, limit)) as jobs:
                async for job in jobs:
                    print(dump_json(describe(job)))

    anyio.run(run)


def show_job(number: int, /, *, config: ConfigOption = None) -> None:
    """Show all that is known of a job.

    Parameters
    ----------
    number
        As listed.
    """

    async def run() -> None:
        async with _queue(config) as queue:
            for name, value in describe(await _known(queue.find(number))).items():
                text = dump_json(value) if isinstance(value, dict) else value
                say(f"{name:<18}{text}")

    anyio.run(run)


def retry_job(number: int, /, *, config: ConfigOption = None) -> None:
    """Let a job that failed or was cancelled wait again, with all of its attempts.

    Parameters
    ----------
    number
        As listed.
    """

    async def run() -> None:
        async with _queue(config) as queue:
            job = await _known(queue.retry(number))
            print(f"job {job.number} waits again")

    anyio.run(run)


def cancel_job(number: int, /, *, config: ConfigOption = None) -> None:
    """Cancel a job: at once if it waits, else its worker is asked to.

    Parameters
    ----------
    number
        As listed.
    """

    async def run() -> None:
        async with _queue(config) as queue:
            job = await _known(queue.cancel(number))
            ended = job.state is JobState.CANCELLED
            print(f"job {number} is cancelled" if ended else f"the worker of job {number} is asked")

    anyio.run(run)


def purge_jobs(
    *kinds: str,
    state: Annotated[tuple[JobState, ...], Parameter(negative=())] = (JobState.SUCCEEDED,),
    older_than: float = 0.0,
    config: ConfigOption = None,
) -> None:
    """Forget jobs that have ended.

    Parameters
    ----------
    kinds
        Only of these kinds.
    state
        Those that succeeded, or those in these states; may be given several times.
    older_than
        Only those that ended so many days ago.
    """
    if alive := {JobState.WAITING, JobState.RUNNING}.intersection(state):
        raise UsageError(f"{', '.join(sorted(alive))} jobs have not ended: cancel them first")
    before = datetime.now(UTC) - timedelta(days=older_than)

    async def run() -> None:
        async with _queue(config) as queue:
            count = await queue.purge(JobFilter(kinds, state, ended_before=before))
            print(f"{count} job{'' if count == 1 else 's'} forgotten")

    anyio.run(run)


@asynccontextmanager
async def _queue(config: Path | None) -> AsyncIterator[JobQueue]:
    async with open_node(config, JobQueue) as node:
        yield node.find(JobQueue)


async def _known(answer: Awaitable[Job]) -> Job:
    try:
        return await answer
    except (KeyError, ValueError) as error:
        raise CommandError(str(error.args[0])) from error


def _cells(job: Job) -> tuple[str, ...]:
    progress = job.progress
    share = f"{progress.done}/{progress.total}" if progress.total else str(progress.done or "")
    moment = (job.ended or job.due).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return (
        str(job.number),
        job.kind,
        job.state,
        str(job.attempts),
        moment,
        f"{share} {progress.note}".strip(),
        job.error[:60],
    )


BY_VERB: dict[str, Callable[..., None]] = {
    "list": list_jobs,
    "show": show_job,
    "retry": retry_job,
    "cancel": cancel_job,
    "purge": purge_jobs,
}
