"""Results that are being looked at, so that one which refers to another that is just coming waits.

STOW-RS stores the parts of a request side by side: a report may be read before the segmentation
that it is about, although both are there. Without waiting it would be refused, and archived a
moment later, which its sender would not learn.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import anyio


class Turns:
    """How many results of each service are being looked at, those that wait not counted."""

    def __init__(self) -> None:
        self._busy: Counter[str] = Counter()
        self._fewer = anyio.Event()

    @contextmanager
    def take(self, service: str) -> Iterator[None]:
        """Count a result of a service for a ``with`` block."""
        self._busy[service] += 1
        try:
            yield
        finally:
            self._leave(service)

    async def give_way(self, service: str, seconds: float) -> bool:
        """Wait until no other result of a service is looked at; say whether there was one.

        Parameters
        ----------
        service : str
        seconds : float
            At most: another may take long to come, and be no part of the same answer.
        """
        self._leave(service)
        try:
            if not self._busy[service]:
                return False
            with anyio.move_on_after(seconds):
                while self._busy[service]:
                    await self._fewer.wait()
            return True
        finally:
            self._busy[service] += 1

    def _leave(self, service: str) -> None:
        self._busy[service] -= 1
        self._fewer.set()
        self._fewer = anyio.Event()
