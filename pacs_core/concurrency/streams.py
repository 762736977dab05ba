"""Asynchronous iterators that must be closed, and that must have begun before they are used."""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

T = TypeVar("T")


@asynccontextmanager
async def closing(items: AsyncIterable[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Close an iterator on leaving, if it is one that can be closed.

    A generator that nobody closes runs its ``finally`` when it is collected as garbage: perhaps
    never, perhaps in another task, and with files and cursors open until then.
    """
    iterator = aiter(items)
    try:
        yield iterator
    finally:
        if isinstance(iterator, AsyncGenerator):
            await iterator.aclose()


async def take(items: AsyncIterable[T], limit: int) -> AsyncGenerator[T, None]:
    """Iterate over the first items only, and close their iterator then.

    Parameters
    ----------
    items : async iterable
    limit : int
        How many at most; none is asked for beyond.
    """
    async with closing(items) as iterator:
        while limit > 0:
            try:
                item = await anext(iterator)
            except StopAsyncIteration:
                return
            yield item
            limit -= 1


@asynccontextmanager
async def begin_iteration(items: AsyncIterable[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Have the first item at hand, so that what fails until then fails before anything is sent.

    Closes the iterator on leaving.
    """
    async with closing(items) as iterator:
        try:
            first = await anext(iterator)
        except StopAsyncIteration:
            yield iterator
        else:
            yield prepend(first, iterator)


async def prepend(first: T, rest: AsyncIterable[T]) -> AsyncGenerator[T, None]:
    """Iterate over an item that was taken already, and over the rest, which is closed then."""
    async with closing(rest) as iterator:
        yield first
        async for item in iterator:
            yield item
