"""One lock for each key that somebody holds or waits for, and none for all others."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from attrs import define, field


def _lock() -> anyio.Lock:
    return anyio.Lock(fast_acquire=True)


@define(eq=False)
class _Entry:
    lock: anyio.Lock = field(factory=_lock)
    users: int = 0


class KeyedLocks:
    """Mutual exclusion by key, among the tasks of one event loop."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        """Hold the lock of `key`."""
        entry = self._entries.setdefault(key, _Entry())
        entry.users += 1
        try:
            async with entry.lock:
                yield
        finally:
            entry.users -= 1
            if not entry.users:
                del self._entries[key]
