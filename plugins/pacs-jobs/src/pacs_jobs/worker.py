"""The service that does jobs, one in each worker process.

Theory of operation
-------------------
One task looks for work; each job has a task of its own, with one beside it that holds its lease.
A kind that has as many jobs running as it may is not asked for. What this process enqueues is begun
at once; what others enqueue is found by polling, with a read that keeps no writer waiting.

A worker that cannot reach the queue ends its job when the lease is over by its own clock: another
worker may have begun it by then.

A job ends in one of six ways: done, tried again, given up, cancelled, given back because the node
stops, or lost, if another has taken it meanwhile. The first five are written under a shield, for
else the lease would have to run out.
"""

import logging
import os
import socket
from collections import Counter
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta

import anyio
from anyio.abc import TaskGroup
from attrs import define, field

from pacs_core.api.pauses import common_moment
from pacs_core.contracts import (
    AssociationError,
    AuditEvent,
    AuditFailedError,
    AuditValue,
    Node,
    Origin,
    Outcome,
    PluginAuditKind,
    Service,
    Span,
    SpanKind,
    SpanValue,
    Started,
    correlated,
    new_correlation,
)
from pacs_jobs.config import JobsConfig
from pacs_jobs.health import JobsCheck
from pacs_jobs.jobs import JobFailedError, JobHandler, RunningJob
from pacs_jobs.kinds import DeclaredKind, declared_kinds
from pacs_jobs.queue import JobQueue, LeasedJob, LeaseLostError

logger = logging.getLogger(__name__)

GIVEN_UP = PluginAuditKind("jobs.given-up")
"""A job failed for good."""

_NAME = f"{socket.gethostname()}:{os.getpid()}"

_HEED_CLOCK = 60.0
"""Seconds after which it is looked whether the clock was set back."""
_LAST_WORD = 5.0
"""Seconds for what is written about a job while the node stops."""

_GRACE = 1.0
"""Seconds in which a process that was kept from running may still find that its lease holds."""


@define(eq=False)
class _Held:
    """A job that this worker holds; its scope ends with the lease."""

    leased: LeasedJob
    running: RunningJob
    scope: anyio.CancelScope = field(factory=anyio.CancelScope)
    cancel_requested: bool = False

    def hold_until(self, moment: float) -> None:
        """Let it run until then by the event loop; a database that is away may not even fail."""
        self.scope.deadline = moment + _GRACE

    @property
    def is_lost(self) -> bool:
        """Whether another worker may have it."""
        return self.scope.cancelled_caught and not self.cancel_requested


@define(eq=False)
class JobWorker(Service):
    """Does the jobs of all kinds that plugins declare.

    Parameters
    ----------
    node : Node
    config : JobsConfig
    """

    node: Node
    config: JobsConfig
    _handlers: dict[str, JobHandler] = field(factory=dict)
    _kinds: dict[str, DeclaredKind] = field(factory=dict)
    _busy: Counter[str] = field(factory=Counter)
    _begun: int = 0
    _looking: anyio.Lock = field(factory=lambda: anyio.Lock(fast_acquire=True))
    _health: JobsCheck = field(init=False)

    @_health.default
    def _make_check(self) -> JobsCheck:
        return JobsCheck(self.node.find(JobQueue), self.config, self._free, lambda: self._begun)

    def _free(self) -> list[str]:
        """Return the kinds of which this process may begin another job."""
        return [n for n, d in self._kinds.items() if self._busy[n] < d.kind.concurrency]

    async def start(self) -> None:
        """Start the handlers; a plugin whose handler does not start is quarantined."""
        for name, declared in declared_kinds(self.node).items():
            try:
                for interface in declared.kind.requires:
                    self.node.find(interface)
                handler = declared.kind.create(self.node)
                await handler.start()
            except Exception as error:
                logger.exception("the handler of %s jobs does not start", name)
                self.node.hooks.refuse(declared.contribution, f"{name} does not start: {error}")
            else:
                self._handlers[name], self._kinds[name] = handler, declared
        self.node.health.add(self._health)

    async def stop(self) -> None:
        """Stop the handlers."""
        self.node.health.remove(self._health)
        for handler in reversed(self._handlers.values()):
            await handler.stop()

    async def run(self, started: Started) -> None:
        """Look for jobs, and do them, until cancelled."""
        queue = self.node.find(JobQueue)
        started()
        heed = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            while True:
                if anyio.current_time() >= heed:
                    pauses = {n: d.kind.longest_pause for n, d in self._kinds.items()}
                    await queue.heed_clock(self.config.lease, pauses)
                    heed = anyio.current_time() + _HEED_CLOCK
                await self._begin_due(queue, tasks)
                await queue.wait(common_moment(self.config.poll) - anyio.current_time())

    async def _begin_due(self, queue: JobQueue, tasks: TaskGroup) -> None:
        """Begin jobs as long as there are some that are due, and room for them."""
        async with self._looking:
            while free := self._free():
                due = await queue.next_due(free)
                if due is None or due > datetime.now(UTC):
                    return
                until = anyio.current_time() + self.config.lease
                leased = await queue.lease(free, _NAME, self.config.lease)
                if leased is None:
                    return
                self._busy[leased.job.kind] += 1
                self._begun += 1
                job = leased.job
                held = _Held(leased, RunningJob(job.number, job.arguments, job.attempts))
                held.hold_until(until)
                tasks.start_soon(self._do, queue, held, tasks)

    async def _do(self, queue: JobQueue, held: _Held, workers: TaskGroup) -> None:
        job = held.leased.job
        # What a schedule has enqueued, and no association or request, is its own cause.
        correlation = job.correlation if job.correlation.id else new_correlation()
        try:
            with correlated(correlation), self._span(held):
                await self._attempt_while_held(queue, held)
        except* LeaseLostError:
            logger.warning("the lease of job %s (%s) is lost: it waits again", job.number, job.kind)
        finally:
            self._busy[job.kind] -= 1
        await self._begin_due(queue, workers)

    def _span(self, held: _Held) -> AbstractContextManager[Span]:
        job = held.leased.job
        attributes: dict[str, SpanValue] = {"job": job.number, "attempt": job.attempts}
        return self.node.tracing.span(f"job {job.kind}", SpanKind.CONSUMER, attributes)

    async def _attempt_while_held(self, queue: JobQueue, held: _Held) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._hold, queue, held)
            try:
                await self._attempt(queue, held)
            finally:
                tasks.cancel_scope.cancel()

    async def _attempt(self, queue: JobQueue, held: _Held) -> None:
        job, kind = held.leased.job, self._kinds[held.leased.job.kind].kind
        error: str | None = None
        final = False
        if job.attempts > kind.attempts:  # its workers died, maybe of it
            await self._write(queue, held, f"begun {kind.attempts} times: {job.error}", True)
            return
        try:
            with held.scope:
                with anyio.fail_after(kind.timeout):
                    await self._handlers[job.kind].run(held.running)
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True), anyio.move_on_after(_LAST_WORD):
                await queue.release(held.leased)
            raise
        except TimeoutError:
            error = f"it was not done after {kind.timeout:g} s"
        except JobFailedError as reason:
            error, final = str(reason), True
        except (AssociationError, OSError) as reason:  # such as a peer that is away for days
            logger.warning("job %s (%s) failed: %s", job.number, job.kind, reason)
            error = f"{type(reason).__name__}: {reason}"
        except Exception as reason:
            logger.exception("job %s (%s) failed", job.number, job.kind)
            error = f"{type(reason).__name__}: {reason}"
        with anyio.CancelScope(shield=True):
            await self._write(queue, held, error, final)

    async def _write(self, queue: JobQueue, held: _Held, error: str | None, final: bool) -> None:
        job, kind = held.leased.job, self._kinds[held.leased.job.kind].kind
        if held.is_lost:
            raise LeaseLostError
        if held.running.progress is not None:
            await queue.heartbeat(held.leased, self.config.lease, held.running.progress)
        if held.cancel_requested and held.scope.cancelled_caught:
            await queue.release(held.leased)
        elif error is None:
            await queue.complete(held.leased)
        elif final or job.attempts >= kind.attempts:
            await queue.fail(held.leased, error, None)
            await self._tell(job.number, job.kind, error)
        else:
            pause = timedelta(seconds=kind.pause_after(job.attempts))
            await queue.fail(held.leased, error, datetime.now(UTC) + pause)

    async def _hold(self, queue: JobQueue, held: _Held) -> None:
        """Hold the lease, and hear whether the job is to be cancelled."""
        known = None
        while True:
            await anyio.sleep(min(self.config.lease / 3, 2.0))
            asked = anyio.current_time()
            try:
                progress = held.running.progress
                news = None if progress is known else progress
                if await queue.heartbeat(held.leased, self.config.lease, news):
                    held.cancel_requested = True
                    held.scope.cancel()
                held.hold_until(asked + self.config.lease)
                known = progress
            except LeaseLostError:
                held.scope.cancel()
                return
            except Exception:  # the database is away: the lease lasts for a while
                logger.exception("the lease of job %s cannot be held", held.leased.job.number)

    async def _tell(self, number: int, kind: str, error: str) -> None:
        logger.error(
            "job %s (%s) was given up: %s; see pacs jobs show %s", number, kind, error, number
        )
        details: dict[str, AuditValue] = {"job": number, "kind": kind, "reason": error}
        settings = self.node.settings
        origin = Origin("jobs", called_ae_title=settings.ae_title, host=settings.host)
        try:
            await self.node.audit.record(AuditEvent(GIVEN_UP, Outcome.FAILURE, origin, details))
        except AuditFailedError:
            return  # logged by the trail
