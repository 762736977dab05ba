"""One task waits, others wake it."""

import asyncio


class Signal:
    """Wakes the one task that waits; a signal that nobody waits for is forgotten."""

    __slots__ = ("_waiter",)

    def __init__(self) -> None:
        self._waiter: asyncio.Future[None] | None = None

    async def wait(self) -> None:
        """Wait for the next :meth:`set`."""
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def set(self) -> None:
        """Wake the task that waits."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
