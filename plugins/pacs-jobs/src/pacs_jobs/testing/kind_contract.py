# ruff: noqa: D102, S101 - the names of the tests are their documentation
"""The contract suite of kinds of jobs.

Example
-------
::

    class TestSweep(JobKindContract):
        @pytest.fixture
        def kind(self) -> JobKind:
            return pacs_job_kinds(Setup(NodeSettings()))[0]
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import anyio
import pytest
from attrs import define

from pacs_core.contracts import Node
from pacs_core.testing.operations import memory_node
from pacs_jobs.jobs import Arguments, JobHandler, JobKind, Progress, RunningJob
from pacs_jobs.kinds import next_occurrence

PATIENCE = 20.0
"""Seconds for a job of the tests."""


@define(eq=False)
class _CutShort(RunningJob):
    """A job that is cancelled when it says for the first time how far it is."""

    scope: anyio.CancelScope | None = None

    async def report(self, progress: Progress) -> None:
        if self.scope is not None:
            self.scope.cancel()
        await super().report(progress)


@pytest.mark.anyio
class JobKindContract:
    """What every kind must do; inherit it, and override the fixture `kind`.

    Override `arguments` with those of a job that succeeds, and `node` with one in which it does.
    """

    @pytest.fixture
    def kind(self) -> JobKind:
        """Return the kind."""
        raise NotImplementedError

    @pytest.fixture
    def arguments(self) -> Arguments:
        """Return the arguments of a job that succeeds; a scheduled one has none."""
        return {}

    @pytest.fixture
    def node(self) -> Node:
        """Return the node of the handler."""
        return memory_node()

    @asynccontextmanager
    async def handler(self, kind: JobKind, node: Node) -> AsyncIterator[JobHandler]:
        """Start a handler, as a worker that was started anew does."""
        handler = kind.create(node)
        await handler.start()
        try:
            with anyio.fail_after(PATIENCE):
                yield handler
        finally:
            await handler.stop()

    async def test_a_handler_without_work_starts_and_stops(self, kind: JobKind, node: Node) -> None:
        async with self.handler(kind, node):
            pass

    async def test_the_schedule_is_a_cron_expression(self, kind: JobKind, node: Node) -> None:
        if kind.schedule:
            now = datetime.now().astimezone()
            assert next_occurrence(kind.schedule, now) > now
            async with self.handler(kind, node) as handler:
                await handler.run(RunningJob(1))  # what a schedule enqueues has no arguments

    async def test_a_queue_carries_the_arguments(self, arguments: Arguments) -> None:
        assert json.loads(json.dumps(arguments, allow_nan=False)) == arguments

    async def test_what_another_worker_has_done_already_is_done_again(
        self, kind: JobKind, node: Node, arguments: Arguments
    ) -> None:
        """The first was killed after the work, and before that was noted."""
        for attempt in (1, 2):
            async with self.handler(kind, node) as handler:
                await handler.run(RunningJob(1, arguments, attempt))

    async def test_a_cancelled_job_ends_and_is_done_later(
        self, kind: JobKind, node: Node, arguments: Arguments
    ) -> None:
        async with self.handler(kind, node) as handler:
            with anyio.CancelScope() as scope:
                scope.cancel()
                await handler.run(RunningJob(1, arguments))
            assert scope.cancelled_caught, "the job keeps its cancellation to itself"
            await handler.run(RunningJob(1, arguments))

    async def test_a_job_that_is_cancelled_half_way_is_done_later(
        self, kind: JobKind, node: Node, arguments: Arguments
    ) -> None:
        async with self.handler(kind, node) as handler:
            with anyio.CancelScope() as scope:
                await handler.run(_CutShort(1, arguments, scope=scope))
            assert scope.cancelled_caught == scope.cancel_called
            await handler.run(RunningJob(1, arguments))

    async def test_one_handler_does_as_many_at_once_as_it_says(
        self, kind: JobKind, node: Node, arguments: Arguments
    ) -> None:
        async with self.handler(kind, node) as handler, anyio.create_task_group() as tasks:
            for number in range(min(kind.concurrency, 4)):
                tasks.start_soon(handler.run, RunningJob(number, arguments))
