"""Acts on jobs that API and pages share: who may, and what is recorded."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from attrs import frozen
from pacs_web.api import WebContext
from pacs_web.api.http import HttpError
from starlette.requests import Request

from pacs_core.api.streams import closing
from pacs_core.contracts import (
    EventAction,
    PluginAuditKind,
)
from pacs_jobs.jobs import Job, JobState
from pacs_jobs.queue import JobFilter, JobQueue

INSPECT: Final = "jobs.inspect"
STEER: Final = "jobs.steer"
"""Actions that authorizers are asked for."""

VIEWED: Final = PluginAuditKind("jobs.viewed")
STEERED: Final = PluginAuditKind("jobs.steered")

MOST: Final = 1000
"""Jobs on a page."""
ENDED: Final = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)
_LONGEST: Final = 36_500.0  # days

T = TypeVar("T")


@frozen
class JobPage:
    """Jobs, latest first, and whether there are more."""

    jobs: tuple[Job, ...]
    has_more: bool


@frozen
class JobDesk:
    """Jobs for whoever asks.

    Attributes
    ----------
    context : WebContext
    queue : JobQueue
    """

    context: WebContext
    queue: JobQueue

    async def list(self, request: Request, wanted: JobFilter, limit: int) -> JobPage:
        """Return the jobs that are wanted."""
        await self.context.require(request, INSPECT)
        found: list[Job] = []
        async with closing(self.queue.jobs(wanted)) as jobs:
            async for job in jobs:
                if len(found) == limit:
                    return JobPage(tuple(found), has_more=True)
                found.append(job)
        return JobPage(tuple(found), has_more=False)

    async def show(self, request: Request) -> Job:
        """Return the job of the path."""
        await self.context.require(request, INSPECT)
        return await _known(self.queue.find(_number(request)))

    async def retry(self, request: Request) -> Job:
        """Let the job of the path wait again."""
        return await self._steer(request, "retry", self.queue.retry)

    async def cancel(self, request: Request) -> Job:
        """Cancel the job of the path, or ask its worker to."""
        return await self._steer(request, "cancel", self.queue.cancel)

    async def purge(self, request: Request, wanted: JobFilter) -> int:
        """Forget jobs that have ended, and return how many."""
        await self.context.require(request, STEER)
        details = {"do": "purge", "states": ", ".join(wanted.states)}
        await self.context.record(request, STEERED, EventAction.DELETE, **details)
        return await self.queue.purge(wanted)

    async def _steer(
        self, request: Request, act: str, change: Callable[[int], Awaitable[Job]]
    ) -> Job:
        await self.context.require(request, STEER)
        number = _number(request)
        await _known(self.queue.find(number))
        await self.context.record(request, STEERED, EventAction.UPDATE, do=act, job=number)
        return await _known(change(number))


def read_filter(given: Mapping[str, str]) -> JobFilter:
    """Return which jobs parameters ask for.

    Raises
    ------
    HttpError
        400
    """
    states = tuple(_state(name) for name in given.get("state", "").split(",") if name)
    kinds = tuple(filter(None, given.get("kind", "").split(",")))
    below = read_integer(given, "before", 0, 1, 1 << 62) or None
    return JobFilter(kinds, states, given.get("key", ""), numbers_below=below)


def read_purge(given: Mapping[str, str]) -> JobFilter:
    """Return which jobs are to be forgotten: by default those that succeeded.

    Raises
    ------
    HttpError
        400
    """
    states = tuple(_state(name) for name in given.get("state", "succeeded").split(",") if name)
    if not states or not set(states) <= set(ENDED):
        raise HttpError(400, f"state: one of {', '.join(ENDED)}; cancel others first")
    kinds = tuple(filter(None, given.get("kind", "").split(",")))
    text = given.get("older_than", "") or "0"
    try:
        days = float(text)
    except ValueError:
        days = -1.0
    if not 0 <= days <= _LONGEST:
        raise HttpError(400, f"older_than: a number of days up to {_LONGEST:g}")
    return JobFilter(kinds, states, ended_before=datetime.now(UTC) - timedelta(days=days))


def read_integer(given: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    """Return a whole number of a query string. HttpError 400 if it is none, or out of bounds."""
    text = given.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise HttpError(400, f"{name}: a number from {least} to {most}")
    return int(text)


def _state(name: str) -> JobState:
    try:
        return JobState(name)
    except ValueError:
        raise HttpError(400, f"state: one of {', '.join(JobState)}") from None


def _number(request: Request) -> int:
    text = request.path_params["number"]
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise HttpError(404, "there is no such job")
    return int(text)


async def _known(answer: Awaitable[T]) -> T:
    try:
        return await answer
    except KeyError:
        raise HttpError(404, "there is no such job") from None
    except ValueError as error:
        raise HttpError(409, str(error)) from error
