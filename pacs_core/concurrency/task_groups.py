"""Task groups whose user sees the one exception that ended them, not a group of one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio.abc import TaskGroup


@asynccontextmanager
async def task_group() -> AsyncIterator[TaskGroup]:
    """Run a task group that raises a lone exception as it is."""
    lone: BaseException | None = None
    try:
        async with anyio.create_task_group() as tasks:
            yield tasks
    except BaseExceptionGroup as group:
        if len(group.exceptions) != 1:
            raise
        lone = group.exceptions[0]
    if lone is not None:  # raised out here, it keeps its own cause and context
        raise lone


@asynccontextmanager
async def cancelled_task_group() -> AsyncIterator[TaskGroup]:
    """Run a task group whose tasks are cancelled when the block ends."""
    async with task_group() as tasks:
        try:
            yield tasks
        finally:
            tasks.cancel_scope.cancel()


def is_being_cancelled() -> bool:
    """Tell whether the task that catches a cancellation is itself what somebody cancels.

    If not, the cancellation is that of something it has waited for, such as a task of a plugin
    that was cancelled: an error like any other.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
