"""The memory that all associations of a process may hold for datasets under way."""

from collections import deque

import anyio

# Theory of operation
#
# Bytes are handed out in the order in which they were asked for. `try_take` refuses while anybody
# waits, even if there are enough free: else a stream of small takers would keep one that needs much
# waiting for ever. A waiter that is cancelled after its turn has come gives back what it was
# granted.


class ByteBudget:
    """A number of bytes that is handed out in the order in which it was asked for.

    Parameters
    ----------
    limit : int
        Bytes.
    """

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._limit = limit
        self._waiting: deque[tuple[int, anyio.Event]] = deque()

    @property
    def limit(self) -> int:
        """Bytes that there are."""
        return self._limit

    @property
    def free(self) -> int:
        """Bytes that nobody holds."""
        return self._free

    def try_take(self, size: int) -> bool:
        """Take bytes if they are free and nobody waits for any."""
        if self._waiting or size > self._free:
            return False
        self._free -= size
        return True

    async def take(self, size: int) -> None:
        """Take bytes, waiting for them; cancellation takes none.

        Raises
        ------
        ValueError
            There will never be so many.
        """
        if size > self._limit:
            raise ValueError(f"{size} bytes are more than the whole budget of {self._limit}")
        if self.try_take(size):
            return
        entry = size, anyio.Event()
        self._waiting.append(entry)
        try:
            await entry[1].wait()
        except BaseException:
            self._leave(entry)
            raise

    def _leave(self, entry: tuple[int, anyio.Event]) -> None:
        if entry[1].is_set():
            self._free += entry[0]
        else:
            self._waiting.remove(entry)
        self._serve()

    def give(self, size: int) -> None:
        """Give bytes back."""
        self._free += size
        self._serve()

    def _serve(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free:
            size, granted = self._waiting.popleft()
            self._free -= size
            granted.set()
