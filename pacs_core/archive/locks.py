"""One lock for each key that somebody holds or waits for, and none for all others."""

import asyncio
from types import TracebackType

# Theory of operation
#
# A lock exists while somebody holds or awaits it, counted in `users`, and is removed with the last:
# so there are as many as there are instances under way, not as many as there ever were.
#
# The count is raised before the wait and lowered in any case, also if the wait is cancelled.
# Nothing is awaited between finding an entry and counting, so tasks of one event loop cannot come
# between; other processes are not excluded, which is what the index's transactions are for.


class KeyedLocks:
    """Mutual exclusion by key, among the tasks of one event loop."""

    def __init__(self) -> None:
        self._entries: dict[str, _LockEntry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def hold(self, key: str) -> "_Hold":
        """Return an async context manager that holds the lock of `key`."""
        return _Hold(self._entries, key)


class _LockEntry:
    __slots__ = ("lock", "users")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.users = 0


class _Hold:
    # A class rather than a generator: this is on the way of every instance.
    __slots__ = ("_entries", "_entry", "_key")

    def __init__(self, entries: dict[str, _LockEntry], key: str) -> None:
        self._entries = entries
        self._key = key

    async def __aenter__(self) -> None:
        self._entry = self._entries.setdefault(self._key, _LockEntry())
        self._entry.users += 1
        try:
            await self._entry.lock.acquire()
        except BaseException:
            self._leave()
            raise

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._entry.lock.release()
        self._leave()

    def _leave(self) -> None:
        self._entry.users -= 1
        if not self._entry.users:
            del self._entries[self._key]
