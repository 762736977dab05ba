"""Worker threads with a limit of the store's own."""

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

T = TypeVar("T")


class Threads:
    """Runs blocking functions, at most so many at once; never abandons one that runs."""

    def __init__(self, limit: int) -> None:
        self._limiter = CapacityLimiter(limit)

    async def run(self, function: Callable[..., T], *args: object) -> T:
        """Return what the function returns."""
        return await to_thread.run_sync(function, *args, limiter=self._limiter)
