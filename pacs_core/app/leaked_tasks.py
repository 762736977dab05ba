"""Ends tasks that plugins have started and left behind, and says whose they are."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from types import CodeType

import anyio

from pacs_core.plugins import CodeFrame, CodeMap, PluginRecord

# Theory of operation
#
# A plugin may start tasks of asyncio by itself, which no task group of the kernel knows. Those that
# are left when the node has stopped are found by comparing the tasks before and after. Whose they
# are is told by their code: a task's coroutine, and what it awaits in turn, are looked through for
# a code object that lies in a plugin's files. Tasks of libraries on behalf of nobody are left
# alone.

logger = logging.getLogger(__name__)

Leak = tuple[asyncio.Task[object], PluginRecord, CodeFrame]


@asynccontextmanager
async def no_leaked_tasks(owners: CodeMap, timeout: float) -> AsyncIterator[None]:
    """Cancel, after an ``async with`` block, the tasks of plugins that began in it and still run.

    Parameters
    ----------
    owners : CodeMap
        Tells plugins' code.
    timeout : float
        Seconds to wait for them to end.
    """
    before = asyncio.all_tasks()
    try:
        yield
    finally:
        leaks = [
            (task, *found)
            for task in asyncio.all_tasks() - before
            if (found := owners.of_code(_codes(task.get_coro()))) is not None
        ]
        with anyio.CancelScope(shield=True):
            await _end(leaks, timeout)


async def _end(leaks: list[Leak], timeout: float) -> None:
    for task, record, place in leaks:
        logger.error(
            "plugin %s (%s) has left a task running: %s; it is cancelled, but should be ended in "
            "the component's stop()",
            record.name,
            record.source,
            place,
        )
        task.cancel("left behind by its plugin")
    if not leaks:
        return
    _, pending = await asyncio.wait({task for task, _, _ in leaks}, timeout=timeout)
    for task, record, place in leaks:
        if task in pending:
            logger.error("plugin %s: the task %s does not end", record.name, place)
        elif not task.cancelled():
            task.exception()  # looked at, so that it is not reported as never retrieved


def _codes(awaited: object) -> Iterator[CodeType]:
    """Iterate over the code that a coroutine runs, and what it awaits, outermost first."""
    while awaited is not None:
        for kind in ("cr", "gi", "ag"):
            code = getattr(awaited, f"{kind}_code", None)
            if code is not None:
                yield code
                awaited = getattr(awaited, f"{kind}_await", None)
                break
        else:
            return
