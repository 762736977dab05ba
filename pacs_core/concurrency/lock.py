"""A lock that costs next to nothing while nobody competes for it."""

import asyncio
from collections import deque
from types import TracebackType


class Lock:
    """Mutual exclusion, first come, first served."""

    __slots__ = ("_held", "_waiters")

    def __init__(self) -> None:
        self._held = False
        self._waiters: deque[asyncio.Future[None]] | None = None

    @property
    def is_held(self) -> bool:
        """Whether a task has the lock."""
        return self._held

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    async def acquire(self) -> None:
        """Wait for the lock, and take it."""
        if self._held:
            await self._await_turn()
        self._held = True

    async def _await_turn(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        if self._waiters is None:
            self._waiters = deque()
        self._waiters.append(turn)
        try:
            await turn
        except BaseException:
            if not turn.cancelled():  # it was this task's turn already
                self.release()
            raise

    def release(self) -> None:
        """Let the next task have the lock, which stays held meanwhile, or nobody."""
        while self._waiters:
            turn = self._waiters.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._held = False
