"""Room for the pixels of pictures that are made, and of large frames, whoever asks for how many."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from attrs import define, field


@define(eq=False)
class PixelRoom:
    """Lets pictures be made at once as long as their pixels fit; the others wait, in their order.

    Frames are in memory as a whole while they are rendered, and while they are sent. What bounds
    those of one request does not bound a hundred.
    """

    _used: int = field(default=0, init=False)
    _turn: anyio.Lock = field(factory=anyio.Lock, init=False)
    _left: anyio.Event = field(factory=anyio.Event, init=False)

    @asynccontextmanager
    async def take(self, pixels: int, most: int) -> AsyncIterator[None]:
        """Hold room for an ``async with`` block.

        Parameters
        ----------
        pixels : int
            What has more than there is room for is let in when there is nothing else.
        most : int
            Pixels for which there is room.
        """
        async with self._turn:
            while self._used and self._used + pixels > most:
                self._left = anyio.Event()
                await self._left.wait()
            self._used += pixels
        try:
            yield
        finally:
            self._used -= pixels
            self._left.set()
