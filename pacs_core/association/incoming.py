"""The dataset of a request on its way from the reader of an association to a provider."""

from collections import deque
from collections.abc import AsyncIterator

import anyio

from pacs_core.association.budget import ByteBudget
from pacs_core.concurrency import Signal
from pacs_core.contracts import DatasetStream
from pacs_core.dimse import DimseError, Status

# Theory of operation
#
# The reader of the association is on one side of this queue, a service provider on the other, and
# both are tasks of one event loop. Two limits hold between them:
#
#   HIGH_WATER  bytes in this queue. Beyond it the reader stops reading, so TCP stops the peer.
#   the budget  bytes that all datasets of the process may hold. A dataset takes what it has
#               received, as long as that is little, and its whole allotment as soon as it is more.
#               The allotment is taken in one go: datasets that took more, piece by piece, could
#               each wait for what another holds, for ever.
#
# The provider begins when all of the dataset is there, or half a megabyte. Beginning and going on
# cost a turn of the event loop each, so a small instance is one turn, and a large one a turn for
# each half megabyte, whatever the size of the PDUs.
#
# A provider need not read everything. What it leaves is discarded as it arrives, before the
# response goes out: the peer sends its dataset to the end in any case, and would not read the
# response before.
#
# If the budget is exhausted for longer than is tolerable, the dataset starves: the provider gets
# A700H instead of data, and the rest passes by. The association lives on.

HIGH_WATER = 1024 * 1024
"""Bytes that may wait for a provider before the association stops reading from the peer."""

EAGER = 512 * 1024
"""Bytes that gather before the provider begins, or goes on: each time costs a turn of the loop."""

SMALL = 256 * 1024
"""Bytes up to which a dataset holds as much of the node's memory budget as it has."""

ALLOTMENT = 3 * 1024 * 1024
"""What a larger dataset holds, however large it is: the queue, what the archive scans, and what
the object store gathers. It is taken at once, so that no two datasets wait for each other."""

_OVERHEAD = 256  # what a fragment costs beside its data; without it, tiny ones would cost nothing


class IncomingDataset(DatasetStream):
    """A bounded queue of fragments between one reader and one provider.

    Parameters
    ----------
    budget : ByteBudget
        Where the memory comes from.

    Attributes
    ----------
    is_ready : bool
        Whether there was enough for the provider to begin.
    """

    def __init__(self, budget: ByteBudget) -> None:
        self.is_ready = False
        self._budget = budget
        self._held = 0
        self._received = 0
        self._starved = False
        self._fragments: deque[bytes | memoryview] = deque()
        self._waiting = 0
        self._complete = False
        self._discarding = False
        self._arrived = Signal()
        self._room = Signal()

    # --- the reader's side

    def feed(self, data: bytes | memoryview, is_last: bool) -> None:
        """Add a fragment."""
        size = len(data)
        self._received += size
        if size and not self._discarding:
            self._fragments.append(data)
            self._waiting += size + _OVERHEAD
        if is_last:
            self.complete()
        elif self._waiting > EAGER:
            self._wake()

    def complete(self) -> None:
        """Note that nothing more comes."""
        self._complete = True
        self._wake()

    def _wake(self) -> None:
        self.is_ready = True
        self._arrived.set()

    @property
    def received(self) -> int:
        """Bytes that have arrived."""
        return self._received

    @property
    def is_full(self) -> bool:
        """Whether the reader should wait for room."""
        return self._waiting > HIGH_WATER

    async def wait_for_room(self) -> None:
        """Wait until the provider has taken enough."""
        while self.is_full:
            await self._room.wait()

    @property
    def _claim(self) -> int:
        """Bytes of the budget that this dataset should hold and does not."""
        due = self._received if self._received <= SMALL else ALLOTMENT
        return 0 if self._discarding else max(due - self._held, 0)

    @property
    def is_covered(self) -> bool:
        """Whether the budget had what this dataset needs; takes it if it is there."""
        claim = self._claim
        if claim and not self._budget.try_take(claim):
            return False
        self._held += claim
        return True

    async def await_budget(self, seconds: float) -> None:
        """Wait for the budget; in vain, the provider gets A700 (PS3.4 Table B.2-1)."""
        claim = self._claim
        with anyio.move_on_after(seconds):
            await self._budget.take(claim)
            if self._discarding:  # the operation ended meanwhile
                self._budget.give(claim)
            else:
                self._held += claim
            return
        self._starved = self._discarding = True
        self._fragments.clear()
        self._waiting = 0
        self._wake()

    def release_budget(self) -> None:
        """Give back what this dataset holds."""
        self._budget.give(self._held)
        self._held = 0

    # --- the provider's side

    def __aiter__(self) -> AsyncIterator[bytes | memoryview]:
        return self

    async def __anext__(self) -> bytes | memoryview:
        while not self._fragments:
            if self._starved:
                self._starved = False  # said once; the rest is discarded
                raise DimseError(Status.OUT_OF_RESOURCES, "the node has no memory to spare")
            if self._complete:
                raise StopAsyncIteration
            await self._arrived.wait()
        fragment = self._fragments.popleft()
        self._waiting -= len(fragment) + _OVERHEAD
        if not self.is_full:
            self._room.set()
        return fragment

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
        self._room.set()
        if self._starved or not self._complete:
            async for _ in self:
                pass
