"""The dataset of a request on its way from the reader of an association to a provider."""

from collections import deque
from collections.abc import AsyncIterator

import anyio

from pacs_core.contracts import DatasetStream
from pacs_core.dimse import DimseError, Status

HIGH_WATER = 1024 * 1024
"""Bytes that may wait for a provider before the association stops reading from the peer."""

_OVERHEAD = 256  # what a fragment costs beside its data; without it, tiny ones would cost nothing


class IncomingDataset(DatasetStream):
    """A bounded queue of fragments between one reader and one provider."""

    def __init__(self, *, complete: bool) -> None:
        self._fragments: deque[bytes | memoryview] = deque()
        self._waiting = 0
        self._complete = complete
        self._discarding = False
        self._arrived: anyio.Event | None = None
        self._room: anyio.Event | None = None

    # --- the reader's side

    def feed(self, data: bytes | memoryview, is_last: bool) -> None:
        """Add a fragment."""
        if len(data) and not self._discarding:
            self._fragments.append(data)
            self._waiting += len(data) + _OVERHEAD
        self._complete = is_last
        self._wake()

    @property
    def is_full(self) -> bool:
        """Whether the reader should wait for room."""
        return self._waiting > HIGH_WATER

    async def wait_for_room(self) -> None:
        """Wait until the provider has taken enough."""
        while self.is_full:
            self._room = anyio.Event()
            await self._room.wait()

    def _wake(self) -> None:
        if self._arrived is not None:
            self._arrived.set()
            self._arrived = None

    # --- the provider's side

    def __aiter__(self) -> AsyncIterator[bytes | memoryview]:
        return self

    async def __anext__(self) -> bytes | memoryview:
        while not self._fragments:
            if self._complete:
                raise StopAsyncIteration
            self._arrived = anyio.Event()
            await self._arrived.wait()
        fragment = self._fragments.popleft()
        self._waiting -= len(fragment) + _OVERHEAD
        self._make_room()
        return fragment

    def _make_room(self) -> None:
        if self._room is not None and not self.is_full:
            self._room.set()
            self._room = None

    async def read(self, limit: int) -> bytes:
        """Return the whole dataset; see the contract."""
        parts: list[bytes | memoryview] = []
        size = 0
        async for fragment in self:
            size += len(fragment)
            if size > limit:
                raise DimseError(Status.OUT_OF_RESOURCES, f"data set of more than {limit} bytes")
            parts.append(fragment)
        return b"".join(parts)

    async def discard(self) -> None:
        """Let the rest pass by."""
        self._discarding = True
        self._fragments.clear()
        self._waiting = 0
        self._make_room()
        async for _ in self:
            pass
