"""Named numbers in memory that processes share after a fork.

Each worker has a region, to which only it writes, so no lock is needed; everybody reads all. A
region begins with the number of its words of 8 bytes that are in use, and a word that takes what
does not fit. Then entries follow, which are never moved or removed: the length of the key in
words, the key as UTF-8 padded with spaces, and the number. The count of words is written last, so
that whoever reads meanwhile sees whole entries only.
"""

import logging
import mmap
from collections.abc import Iterator
from typing import Final

logger = logging.getLogger(__name__)

_WORD: Final = 8
_REGION: Final = 1024 * 1024  # bytes of a worker; the system gives pages only when they are used
_OVERFLOW: Final = 1
_FIRST: Final = 2


class MeterMemory:
    """The regions of all workers.

    Parameters
    ----------
    workers : int
    """

    def __init__(self, workers: int = 1) -> None:
        self._memory = memoryview(mmap.mmap(-1, workers * _REGION))
        self.workers = workers

    def region(self, worker: int) -> "Region":
        """Return the region of a worker, with what it holds already."""
        return Region(self._memory[worker * _REGION : (worker + 1) * _REGION])


class Region:
    """The numbers of one worker, by key."""

    def __init__(self, memory: memoryview) -> None:
        self._bytes = memory
        self._words = memory.cast("Q")
        self.numbers = memory.cast("d")
        """Write to the places that :meth:`place` returns."""
        # A worker that takes a dead one's place goes on with its numbers: nothing was lost.
        self._words[0] = max(self._words[0], _FIRST)
        self._places = dict(self._entries())
        self._is_full = False

    def _entries(self) -> Iterator[tuple[str, int]]:
        place, end = _FIRST, self._words[0]
        while place < end:
            length = self._words[place]
            key = bytes(self._bytes[(place + 1) * _WORD : (place + 1 + length) * _WORD])
            place += 1 + length
            yield key.decode().rstrip(" "), place
            place += 1

    def place(self, key: str) -> int:
        """Return where the number of a key is, which is 0 in the beginning."""
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = self._append(key)
        return place

    def _append(self, key: str) -> int:
        data = key.encode()
        length = -(-len(data) // _WORD)
        start = self._words[0]
        place = start + 1 + length
        if place >= len(self._words):
            if not self._is_full:
                self._is_full = True
                logger.error("the meter is full: %s and others are not counted", key)
            # A place that nobody reads, so that whoever counts need not know.
            return _OVERFLOW
        self._words[start] = length
        self._bytes[(start + 1) * _WORD : place * _WORD] = data.ljust(length * _WORD)
        # Last: until here readers do not look at the entry.
        self._words[0] = place + 1
        return place

    def read(self) -> dict[str, float]:
        """Return all numbers as they are now, by key."""
        return {key: self.numbers[place] for key, place in self._entries()}
