"""The deletion bin of a node: started when it is first needed, and asked in batches."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

import anyio
from attrs import define, field

from pacs_core.concurrency import closing
from pacs_core.contracts import DeletionBin, DeletionError, Origin, StoredObject

_AT_ONCE: Final = 500

StartBin = Callable[[], Awaitable[DeletionBin | None]]


class BinNotRunningError(DeletionError):
    """The deletion bin does not run: nothing is deleted that it should keep."""


async def _no_bin() -> None:
    return None


@define(eq=False)
class NodeBin:
    """What the archive asks of the bin, if there is one.

    Parameters
    ----------
    start_bin : callable, optional
        Returns the bin, started; None if there is none. Raises :class:`BinNotRunningError`.
    """

    _start_bin: StartBin = _no_bin
    _bin: DeletionBin | None = field(default=None, init=False)
    _is_started: bool = field(default=False, init=False)
    _one: anyio.Lock = field(factory=anyio.Lock, init=False)

    def start_with(self, start: StartBin) -> None:
        """Ask the bin that `start` returns, once it is needed."""
        self._start_bin, self._is_started = start, False

    async def find(self) -> DeletionBin | None:
        """Return the bin, started if that was not done."""
        if not self._is_started:
            async with self._one:
                if not self._is_started:
                    self._bin = await self._start_bin()
                    self._is_started = True
        return self._bin

    async def taking(self, origin: Origin) -> DeletionBin | None:
        """Return the bin into which goes what `origin` deletes; None if that is gone at once."""
        found = await self.find()
        return found if found is not None and found.takes(origin) else None

    async def waiting(self, keys: Sequence[str]) -> set[str]:
        """Return which keys are of something in the bin."""
        if not keys or (found := await self.find()) is None:
            return set()
        waiting: set[str] = set()
        for start in range(0, len(keys), _AT_ONCE):
            waiting.update(await found.waiting(keys[start : start + _AT_ONCE]))
        return waiting

    async def leave_out(
        self, objects: AsyncIterator[StoredObject]
    ) -> AsyncGenerator[StoredObject, None]:
        """Iterate over the objects of a store that are not in the bin.

        Without any object the bin is not asked, nor started.
        """
        batch: list[StoredObject] = []
        async with closing(objects):
            async for stored in objects:
                batch.append(stored)
                if len(batch) == _AT_ONCE:
                    for each in await self._without_waiting(batch):
                        yield each
                    batch = []
        for each in await self._without_waiting(batch):
            yield each

    async def _without_waiting(self, objects: Sequence[StoredObject]) -> list[StoredObject]:
        waiting = await self.waiting([each.key for each in objects])
        return [each for each in objects if each.key not in waiting]
