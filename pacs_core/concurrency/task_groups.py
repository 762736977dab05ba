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


def is_failure(error: BaseException) -> bool:
    """Tell whether the code that was called has failed with this.

    So it has if it left by `SystemExit`, as libraries do; and if it handed on the cancellation of
    something that it had waited for, such as a task of its own. Where the running task itself is
    being cancelled, or the process interrupted, nothing has failed, and it is to be raised again.
    """
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() == 0
    return isinstance(error, Exception | SystemExit)
