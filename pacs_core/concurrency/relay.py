"""Relay of items from one task to another, hand to hand."""

from typing import Generic, TypeVar

from pacs_core.concurrency.signal import Signal

T = TypeVar("T")


class Relay(Generic[T]):
    """Hands items from the one task that gives to the one task that iterates.

    Nothing is queued: who gives goes on once the item was taken.
    """

    def __init__(self) -> None:
        self._offered: list[T] = []
        self._closed = False
        self._given = Signal()
        self._taken = Signal()

    async def give(self, item: T) -> None:
        """Wait until the item was taken; a caller that is cancelled before that has kept it."""
        self._offered.append(item)
        self._given.set()
        try:
            while self._offered:
                await self._taken.wait()
        finally:
            self._offered.clear()

    def close(self) -> None:
        """Let the iteration end."""
        self._closed = True
        self._given.set()

    def __aiter__(self) -> "Relay[T]":
        return self

    async def __anext__(self) -> T:
        while not self._offered:
            if self._closed:
                raise StopAsyncIteration
            await self._given.wait()
        self._taken.set()
        return self._offered.pop()
