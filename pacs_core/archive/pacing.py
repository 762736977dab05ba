"""Pace of reading: work in the background that leaves the disks to others."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import anyio

Pace: TypeAlias = Callable[[int], Awaitable[None]]
"""Waited for with the size of each chunk that was read."""


async def at_once(_size: int) -> None:
    """Wait for nothing."""


class ReadPace:
    """Lets no more bytes pass in a second than it should; a :data:`Pace`.

    Parameters
    ----------
    rate : float
        Bytes per second; 0 for as many as there are.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._due = 0.0

    async def __call__(self, size: int) -> None:
        """Wait for as long as these bytes should have taken."""
        if self._rate:
            now = anyio.current_time()
            self._due = max(self._due, now) + size / self._rate
            await anyio.sleep(self._due - now)
