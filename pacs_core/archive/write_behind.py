"""Write-behind: instances are acknowledged first, and flushed to disk shortly after.

With a journal they are acknowledged once that is on disk, and store and index are flushed after.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import anyio
from anyio.abc import TaskGroup

from pacs_core.archive.flushing import Flushing
from pacs_core.archive.journal import FULL, Journal, JournalError
from pacs_core.archive.journal_files import Chunk
from pacs_core.archive.journal_neighbours import Neighbours
from pacs_core.archive.journal_opening import Journaling
from pacs_core.contracts import (
    AuditTrail,
    Durability,
    Index,
    InstancePath,
    ObjectStore,
    Outcome,
    StoredInstance,
)

# Theory of operation
#
# With write-behind an instance is acknowledged when its object and its row are with the operating
# system. That outlives the process, not a power failure. It is in the index's account of what is
# not flushed, and noted in memory, until a flush settles it (`Flushing`).
#
# A replaced or removed instance must leave the account with its row. `forget` therefore waits while
# the instance is being flushed: a flush that ended later would settle whatever has taken its path.
#
# Too much at risk is bounded: at `capacity` bytes a flush begins at once, at twice that ingest
# waits. A flush that fails changes the mode. From then on `durability` is COMMIT, so that nothing
# new is promised that the disk does not keep.
#
# With a journal (`keep`) the same happens to small instances under COMMIT, and each is acknowledged
# once its record is on disk. A record must not outlive the row: a replay would bring back what was
# removed. Hence `forget` flushes instead of forgetting, and asks other processes to do so.
#
# A row is seen before its record is on disk. Who relies on it (`make_durable`, and other processes)
# waits for those that are `_arriving`. Nothing in there may wait for another process, which may be
# waiting for this one. If the journal fails, those who wait are made durable in the ordinary way;
# what fails in that as well is `_doubtful`, until somebody sends it again.

_log = logging.getLogger(__name__)

SETTLE_INTERVAL: Final = 0.5
"""Seconds after which what is in the journal is flushed to store and index. Each flush costs some
syncs, however much it brings to disk; nobody waits for it but who removes what is in there."""
_POLL: Final = 0.005


class WriteBehind:
    """Says how durable new instances are, and when others may be relied on, or removed.

    Parameters
    ----------
    store : ObjectStore
    index : Index
    audit : AuditTrail
        Told when flushing fails, and when it works again.
    durability : Durability
        As configured.
    interval : float
        Seconds between flushes.
    capacity : int
        Bytes of objects after which a flush begins at once; ingest waits while there are twice
        as many.
    """

    def __init__(
        self,
        store: ObjectStore,
        index: Index,
        audit: AuditTrail,
        durability: Durability,
        *,
        interval: float,
        capacity: int,
    ) -> None:
        self._store = store
        self._index = index
        self._durability = durability
        self._flushing = Flushing(store, index, audit, interval=interval, capacity=capacity)
        self._neighbours: Neighbours | None = None
        self._journaling: Journaling | None = None
        self._small = 0
        self._enough = anyio.Event()
        self._arriving: set[InstancePath] = set()
        self._doubtful: set[InstancePath] = set()
        self._journal_reported = False
        self._answering: anyio.CancelScope | None = None

    async def use(self, journaling: Journaling, neighbours: Neighbours) -> None:
        """Write a journal, if there is to be one, and mind those of others; before `start`."""
        self._neighbours = neighbours
        if journaling.directory is not None:
            self._journaling = journaling
            if not journaling.after:
                await self._make_journal(journaling)

    async def _make_journal(self, journaling: Journaling) -> None:
        self._flushing.journal = await journaling.make()
        if self._journal is None:
            self._journaling = None
        else:
            self._flushing.interval = SETTLE_INTERVAL

    @property
    def _journal(self) -> Journal | None:
        return self._flushing.journal

    @property
    def tells_small(self) -> bool:
        """Whether small instances are to be told from others: see :meth:`take_small`."""
        return self._journaling is not None

    def take_small(self) -> bool:
        """Tell whether a small instance is to be acknowledged by the journal: see :meth:`keep`.

        Until there is one they are counted: it is made once there are enough.
        """
        if self._journal is None and self._journaling is not None:
            self._small += 1
            if self._small == self._journaling.after:
                self._enough.set()
        return self._journals

    @property
    def _journals(self) -> bool:
        journal, flushing = self._journal, self._flushing
        return not (journal is None or journal.failure or flushing.failing or flushing.stopping)

    @property
    def in_journal(self) -> int | None:
        """Bytes in the journal; None if there is to be none."""
        if self._journaling is None:
            return None
        return 0 if self._journal is None else self._journal.held

    @property
    def durability(self) -> Durability:
        """What new instances are stored with: the disk is waited for once flushing has failed."""
        if self._durability is Durability.WRITE_BEHIND and (
            self._flushing.failing or self._flushing.stopping
        ):
            return Durability.COMMIT
        return self._durability

    @property
    def durable_at_least(self) -> Durability:
        """What instances are stored with that take the place of others."""
        none = self._durability is Durability.NONE
        return Durability.NONE if none else Durability.COMMIT

    @property
    def unflushed(self) -> int:
        """Bytes of objects that were acknowledged and are not flushed."""
        return self._flushing.size

    async def note(self, instance: StoredInstance) -> None:
        """Flush an instance with the next; waits while too much is not flushed."""
        flushing = self._flushing
        flushing.note(instance)
        # The sender waits with its response: that is how a slow disk slows down those who send.
        while flushing.size >= 2 * flushing.capacity and self.durability is Durability.WRITE_BEHIND:
            await flushing.wait()

    @contextmanager
    def arrive(self, path: InstancePath) -> Iterator[None]:
        """Have others wait who want to rely on a row that is about to be added."""
        if self._journal is None:
            yield
            return
        self._arriving.add(path)
        try:
            yield
        finally:
            self._arriving.discard(path)

    async def keep(self, instance: StoredInstance, content: Sequence[Chunk]) -> None:
        """Make an instance durable by the journal; its row was added as written behind.

        Parameters
        ----------
        instance : StoredInstance
        content : sequence of bytes-like
            Its object.

        Raises
        ------
        OSError
            Neither the journal nor the store could be written.
        """
        journal, path = self._journal, instance.identity.path
        what = path.sop_instance_uid, instance.key, instance.size
        while journal is not None and self._journals and not journal.has_room(*what):
            self._flushing.hurry()
            await self._flushing.wait()
        # No await from here to the record's place in a segment.
        usable = self._journals
        self._flushing.note(instance)
        if journal is not None and usable:
            written = journal.append(*what, content)
            if journal.filled >= FULL:
                self._flushing.hurry()
            try:
                await written
            except JournalError as error:
                await self._report_journal(error)
            else:
                return
        self._doubtful.add(path)
        await self._secure_now(instance)

    async def _secure_now(self, instance: StoredInstance) -> None:
        await self._store.flush([instance.key])
        await self._index.settle([instance.identity.path])
        self._doubtful.discard(instance.identity.path)

    async def _report_journal(self, error: JournalError) -> None:
        if self._journal_reported:
            return
        self._journal_reported = True
        _log.critical("%s; until the node is started again, it goes on without", error)
        await self._flushing.record(Outcome.FAILURE, {"instances": 0, "reason": str(error)})

    async def forget(self, path: InstancePath) -> None:
        """Do not flush an instance that is to be removed; waits while it is being flushed.

        Else the flush of what was removed could settle what came after it.

        Raises
        ------
        OSError
            The instance is in a journal, and cannot be flushed: it must not be removed.
        """
        await self._flushing.forget(path)
        if self._neighbours is not None:
            await self._neighbours.settle([path])

    async def secure(self, instance: StoredInstance) -> None:
        """Make the object of an instance durable, unless nothing is to be."""
        if self._durability is Durability.WRITE_BEHIND or self._journaling is not None:
            await self._store.flush([instance.key])

    async def confirm(self, instance: StoredInstance) -> None:
        """Let an instance be acknowledged again: while flushing fails, not before it is on disk."""
        path = instance.identity.path
        if path in self._doubtful:
            await self._secure_now(instance)
        elif not self._flushing.holds(path):
            if self._neighbours is not None:
                await self._neighbours.settle([path])
        elif self._flushing.failing:
            await self._store.flush([instance.key])

    async def make_durable(self, instances: Sequence[StoredInstance]) -> None:
        """Have instances on disk whose rows were found."""
        if self._durability is not Durability.COMMIT and instances:
            await self._store.flush([each.key for each in instances])
        for instance in instances:
            path = instance.identity.path
            while path in self._arriving:  # noqa: ASYNC110 it takes no longer than a sync
                await anyio.sleep(_POLL)
            if path in self._doubtful:
                await self._secure_now(instance)
        paths = [each.identity.path for each in instances]
        if self._neighbours is not None:
            await self._neighbours.settle([p for p in paths if not self._flushing.holds(p)])

    def start(self, task_group: TaskGroup) -> None:
        """Begin to flush, if that is what was chosen."""
        if self._durability is Durability.WRITE_BEHIND or self._journaling is not None:
            task_group.start_soon(self._flushing.run, name="write-behind")
        if self._journaling is not None:
            task_group.start_soon(self._answer, self._journaling, name="journal requests")

    async def stop(self) -> None:
        """Flush everything. What cannot be flushed stays noted, and is looked at when starting."""
        if self._answering is not None:
            self._answering.cancel()
        await self._flushing.stop()

    async def _answer(self, journaling: Journaling) -> None:
        with anyio.CancelScope() as self._answering:
            if self._journal is None:
                await self._enough.wait()
                await self._make_journal(journaling)
            if self._journal is not None:
                await self._journal.directory.answer(self._flush_for_others)

    async def _flush_for_others(self) -> bool:
        """Flush all whose rows could be seen before."""
        for path in tuple(self._arriving):
            while path in self._arriving:  # noqa: ASYNC110 see `make_durable`
                await anyio.sleep(_POLL)
        return await self._flushing.flush()
