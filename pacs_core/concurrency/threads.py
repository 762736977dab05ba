"""Worker threads for components that block: a hop costs a third of what a general pool's does."""

import asyncio
import math
import threading
from collections.abc import Callable
from contextvars import Context, copy_context
from queue import SimpleQueue
from typing import Any, TypeVar, cast

from anyio import CancelScope, current_effective_deadline
from anyio.lowlevel import checkpoint_if_cancelled
from attrs import define, field

# Theory of operation
#
# A thread pool for one event loop. Functions go through a SimpleQueue, which is made in C;
# results come back by one callback into the loop. Threads are started until there are as many as
# work waits for, and stay.
#
# Work that was begun cannot be abandoned: it writes to files and databases. A caller that is
# cancelled therefore waits for the result, shielded, and is cancelled at its next await. If the
# cancellation came from a scope, that scope cancels again by itself; if it came from asyncio alone,
# it would be lost, and is raised here.
#
# Functions run in the context of their caller, so that what they log belongs to what it belongs to.

T = TypeVar("T")


@define(eq=False)
class _Call:
    function: Callable[..., Any]
    arguments: tuple[object, ...]
    future: "asyncio.Future[Any]"
    context: Context = field(factory=copy_context)
    result: Any = None
    error: BaseException | None = None
    finished: bool = False

    def perform(self) -> None:
        try:
            self.result = self.context.run(self.function, *self.arguments)
        except StopIteration as error:  # a coroutine that raised it would seem to return
            self.error = RuntimeError("the function raised StopIteration")
            self.error.__cause__ = error
        except BaseException as error:
            self.error = error

    def settle(self) -> None:
        """Tell who waits, in the thread of the event loop."""
        self.finished = True
        if not self.future.done():
            self.future.set_result(None)

    def outcome(self) -> Any:
        """Return what the function returned, or raise what it raised."""
        if self.error is None:
            return self.result
        raise self.error


@define(eq=False)
class Threads:
    """Runs blocking functions for the tasks of one event loop, at most so many at once.

    Threads begin when they are needed. What has begun is never abandoned: a caller that is
    cancelled meanwhile still gets the result, and is cancelled where it awaits next.

    Parameters
    ----------
    limit : int
        Threads.
    name : str
        Of the threads.
    """

    limit: int
    name: str = "worker"
    _queue: "SimpleQueue[_Call | None]" = field(factory=SimpleQueue, init=False)
    _count: int = field(default=0, init=False)
    _unsettled: int = field(default=0, init=False)

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        """Return what the function returns, or raise what it raises."""
        await checkpoint_if_cancelled()
        job = _Call(function, arguments, asyncio.get_running_loop().create_future())
        self._unsettled += 1
        if self._unsettled > self._count < self.limit:
            self._count += 1
            threading.Thread(target=_work, args=(self._queue,), name=self.name, daemon=True).start()
        self._queue.put(job)
        try:
            await job.future
        except asyncio.CancelledError:
            await _outlast(job)
        finally:
            self._unsettled -= 1
        return cast(T, job.outcome())

    def close(self) -> None:
        """Let the threads end, each when it has nothing more to do."""
        for _ in range(self._count):
            self._queue.put(None)
        self._count = 0


def _work(queue: "SimpleQueue[_Call | None]") -> None:
    while (job := queue.get()) is not None:
        job.perform()
        try:
            job.future.get_loop().call_soon_threadsafe(job.settle)
        except RuntimeError:
            return  # the loop is closed: nobody waits
        del job  # else the last one's result lives until there is another


async def _outlast(job: _Call) -> None:
    """Wait for a job whose caller was cancelled; raise if no scope will cancel it again."""
    cancelled_by_scope = current_effective_deadline() == -math.inf
    with CancelScope(shield=True):
        while not job.finished:
            job.future = job.future.get_loop().create_future()
            await job.future
    if not cancelled_by_scope:
        raise asyncio.CancelledError
