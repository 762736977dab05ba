"""Room made before a disk is full, and quotas kept: the oldest goes first.

What is in the bin goes before anything that is served. Then one study after another is deleted, as
the rules allow, and removed from the bin as well as long as there is too little room. A bin that is
full must not be what fills the disk.
"""

import logging
import shutil
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import anyio
from anyio import to_thread
from attrs import define
from pacs_jobs.api import JobFailedError, JobQueue, NewJob, Progress, RunningJob

from pacs_core.api.commands import count
from pacs_core.api.streams import closing
from pacs_core.contracts import (
    AuditEvent,
    AuditFailedError,
    EventAction,
    Node,
    Outcome,
    PluginAuditKind,
    Service,
    Started,
)
from pacs_lifecycle.config import LifecycleConfig
from pacs_lifecycle.emptying import Emptying
from pacs_lifecycle.handlers import LifecycleHandler
from pacs_lifecycle.interface import CLEAN_JOB, Quotas, Studies
from pacs_lifecycle.origins import job_origin
from pacs_lifecycle.planning import Planner, carry_out
from pacs_lifecycle.quotas import Counting, Quota

CLEANED: Final = PluginAuditKind("lifecycle.cleaned")
"""Room was made, or could not be made."""

_LOOK: Final = 15.0
_log = logging.getLogger(__name__)

Room = Callable[[Sequence[Path]], int | None]


def free_room(directories: Sequence[Path]) -> int | None:
    """Return the bytes that are free on the fullest disk of these; None without any."""
    found = [shutil.disk_usage(each).free for each in directories if each.is_dir()]
    return min(found, default=None)


def store_directories(node: Node) -> list[Path]:
    """Return the local directories into which the stores of a node put objects."""
    return sorted({path for store in node.stores.values() for path in store.directories})


@define(eq=False)
class WatchRoom(Service):
    """Looks how much room there is, and lets some be made when there is too little.

    Parameters
    ----------
    node : Node
    config : LifecycleConfig
    room : callable
        Tells the bytes that are free.
    """

    node: Node
    config: LifecycleConfig
    room: Room = free_room

    async def run(self, started: Started) -> None:
        """Look until cancelled."""
        started()
        while True:
            free = await to_thread.run_sync(self.room, store_directories(self.node))
            if free is not None and free < self.config.room.clean_below:
                # One in a minute: what could not be done is tried again.
                key = f"{CLEAN_JOB} {int(time.time() / 60)}"
                new = NewJob(CLEAN_JOB, priority=10, key=CLEAN_JOB, idempotency_key=key)
                await self.node.find(JobQueue).enqueue(new)
            await anyio.sleep(_LOOK)


@define(eq=False)
class CleanHandler(LifecycleHandler):
    """Makes room: what is in the bin goes first, then the oldest studies that rules let go.

    Parameters
    ----------
    room : callable
        Tells the bytes that are free.
    """

    room: Room = free_room

    async def run(self, job: RunningJob) -> None:
        """See base."""
        free = before = await self._free()
        if free is None or free >= self.config.room.clean_below:
            return
        emptying, studies = Emptying(self.node, job_origin(self.node.settings)), 0
        free = await self._empty(emptying, free)
        planner = Planner(self.node, self.config, low_room=True)
        async with closing(planner.judge()) as judgements:
            async for each in judgements:
                if free >= self.config.room.wanted:
                    break
                if each.goes and (await carry_out(self.node, each)).instances:
                    studies += 1
                    free = await self._empty(emptying, await self._free() or 0)
                    await job.report(Progress(studies, note=f"{free / 1e6:.0f} MB are free"))
        await self._record(before or 0, free, studies)

    async def _free(self) -> int | None:
        return await to_thread.run_sync(self.room, store_directories(self.node))

    async def _empty(self, emptying: Emptying, free: int) -> int:
        """Remove what has been in the bin for longest, until there is enough room."""
        while free < self.config.room.wanted:
            report = await emptying.purge(before=time.time() + 1, most=1)
            if not report.instances:
                break
            free = await self._free() or 0
        return free

    async def _record(self, before: int, free: int, studies: int) -> None:
        is_enough = free >= self.config.room.wanted
        if not is_enough:
            _log.error(
                "only %d MiB are free, and no rule lets anything more be deleted: make room, or "
                "let rules with when = 'low-room' do so", free >> 20,
            )  # fmt: skip
        details = {"free_before": before, "free_bytes": free, "studies": studies}
        outcome = Outcome.SUCCESS if is_enough else Outcome.WARNING
        origin = job_origin(self.node.settings)
        event = AuditEvent(CLEANED, outcome, origin, details, action=EventAction.EXECUTE)
        with suppress(AuditFailedError):  # logged by the trail
            await self.node.audit.record(event)


@define(eq=False)
class QuotaHandler(LifecycleHandler):
    """Deletes the oldest studies of quotas, until there is not too much any more."""

    async def run(self, job: RunningJob) -> None:
        """See base."""
        for quota in Quota.read(self.config.quotas):
            if quota.config.over == "clean":
                await self._clean(quota, job)

    async def _clean(self, quota: Quota, job: RunningJob) -> None:
        quotas, planner = self.node.find(Quotas), Planner(self.node, self.config)
        counting, studies = Counting(self.node, (quota,)), 0
        async with closing(quotas.studies(quota.name)) as found:
            async for facts in found:
                if not quota.excess(await quotas.usage(quota.name)):
                    return
                judgement = await planner.judge_for_quota(facts, quota)
                if judgement is not None and judgement.goes:
                    studies += bool((await carry_out(self.node, judgement)).instances)
                    await counting.count(facts.uid)
                    await job.report(
                        Progress(studies, note=f"{count(studies, 'study', 'studies')} deleted")
                    )
        if excess := quota.excess(await quotas.usage(quota.name)):
            _log.warning("quota %s: %s, and nothing more may go", quota.name, excess)


@define(eq=False)
class CountHandler(LifecycleHandler):
    """Counts all studies for a quota."""

    async def run(self, job: RunningJob) -> None:
        """See base."""
        quota = _find(self.config, str(job.arguments["quota"]))
        counting, studies = Counting(self.node, (quota,)), 0
        async with closing(self._all()) as uids:
            async for uid in uids:
                await counting.count(uid)
                studies += 1
                await job.report(
                    Progress(studies, note=f"{count(studies, 'study', 'studies')} counted")
                )
        await counting.heed(job.number)

    async def _all(self) -> AsyncIterator[str]:
        async with closing(self.node.find(Studies).by_arrival(time.time() + 1)) as batches:
            async for batch in batches:
                for study in batch:
                    yield study.uid


def _find(config: LifecycleConfig, name: str) -> Quota:
    for quota in Quota.read(config.quotas):
        if quota.name == name:
            return quota
    raise JobFailedError(f"there is no quota {name} any more")
