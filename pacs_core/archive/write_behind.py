"""Write-behind: instances are acknowledged first, and flushed to disk shortly after.

With a journal they are acknowledged once that is on disk, and store and index are flushed after.

The account of what is not flushed lies in the index, in the transaction of each row: a journal
beside it could itself be lost in a power failure, or survive without the rows. A flush makes
objects durable first and settles their rows then, so that no settled row is without its object.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import anyio
from anyio.abc import TaskGroup

from pacs_core.archive.journal import FULL, Journal, JournalError
from pacs_core.archive.journal_files import Chunk
from pacs_core.archive.journal_owner import Neighbour
from pacs_core.contracts import (
    AuditEvent,
    AuditFailedError,
    AuditKind,
    AuditTrail,
    AuditValue,
    Durability,
    Index,
    InstancePath,
    ObjectStore,
    Origin,
    Outcome,
    StoredInstance,
)

# Theory of operation
#
# With write-behind an instance is acknowledged when its object and its row are with the operating
# system. That outlives the process, not a power failure. Three kinds of state say how far an
# instance is:
#
#   in the index's account   row and object written, the row says "not flushed"
#   _pending, _in_flight     the same, in memory, so that nothing need be asked from the index
#   settled                  flushed, and the account has forgotten it
#
# A flush takes all of _pending, lets the store make the objects durable, and only then lets the
# index forget them. In the other order a power failure could leave a settled row without its
# object, which nobody would ever look at again. If the process dies in between, the account still
# has them, and `Recovery` looks at each before the node serves.
#
# A replaced or removed instance must leave the account with its row. `forget` therefore waits while
# the instance is being flushed: a flush that ended later would settle whatever has taken its path.
#
# Too much at risk is bounded: at `capacity` bytes a flush begins at once, at twice that ingest
# waits. A flush that fails changes the mode. From then on `durability` is COMMIT, so that nothing
# new is promised that the disk does not keep, and what could not be flushed is tried again with
# each interval. Both turns are audited, once each.
#
# With a journal (`keep`) the same happens to small instances under COMMIT, and each is acknowledged
# once its record is on disk. What is in a segment is in `_pending` from the same step of the event
# loop on. So a flush that changes over to another segment first, and takes all of `_pending` then,
# may release the former one in the end. A record must not outlive the row: a replay would bring
# back what was removed. Hence `forget` flushes instead of forgetting.
#
# A row is seen before its record is on disk. Who relies on it (`make_durable`) waits for those that
# are `_arriving`. If the journal fails, those who wait are made durable in the ordinary way; what
# fails in that as well is `_doubtful`, until somebody sends it again.

_log = logging.getLogger(__name__)

ORIGIN = Origin("archive")

_Details = Mapping[str, AuditValue]

SETTLE_INTERVAL: Final = 0.05
"""Seconds after which what is in the journal is flushed to store and index."""
_POLL: Final = 0.005


class WriteBehind:
    """Knows what is not flushed, and flushes it.

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
        self._audit = audit
        self._durability = durability
        self._interval = interval
        self._capacity = capacity
        self._pending: dict[InstancePath, StoredInstance] = {}
        self._in_flight: dict[InstancePath, StoredInstance] = {}
        self._bytes = 0
        self._failing = False
        self._stopping = False
        self._urgent = anyio.Event()
        self._flushed = anyio.Event()
        self._noted = anyio.Event()
        self._lock = anyio.Lock()
        self._journal: Journal | None = None
        self._neighbour: Neighbour | None = None
        self._arriving: set[InstancePath] = set()
        self._doubtful: set[InstancePath] = set()
        self._journal_reported = False

    def use(self, journal: Journal | None, neighbour: Neighbour | None) -> None:
        """Write a journal, or mind that of another process; before :meth:`start`."""
        self._journal, self._neighbour = journal, neighbour
        if journal is not None:
            self._interval = SETTLE_INTERVAL

    @property
    def journals(self) -> bool:
        """Whether small instances are to be acknowledged by the journal now: see :meth:`keep`."""
        journal = self._journal
        return not (journal is None or journal.failure or self._failing or self._stopping)

    @property
    def in_journal(self) -> int | None:
        """Bytes in the journal; None without one."""
        return None if self._journal is None else self._journal.held

    @property
    def durability(self) -> Durability:
        """What new instances are stored with: the disk is waited for once flushing has failed."""
        if self._durability is Durability.WRITE_BEHIND and (self._failing or self._stopping):
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
        return self._bytes

    async def note(self, instance: StoredInstance) -> None:
        """Flush an instance with the next; waits while too much is not flushed."""
        self._pending[instance.identity.path] = instance
        self._bytes += instance.size
        self._noted.set()
        if self._bytes >= self._capacity:
            self._urgent.set()
        # The sender waits with its response: that is how a slow disk slows down those who send.
        while self._bytes >= 2 * self._capacity and self.durability is Durability.WRITE_BEHIND:
            await self._flushed.wait()

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
        while journal is not None and self.journals and not journal.has_room(*what):
            self._urgent.set()
            await self._flushed.wait()
        # No await from here to the record's place in a segment.
        usable = self.journals
        self._pending[path] = instance
        self._bytes += instance.size
        self._noted.set()
        if journal is not None and usable:
            written = journal.append(*what, content)
            if journal.filled >= FULL:
                self._urgent.set()
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
        await self._record(Outcome.FAILURE, {"instances": 0, "reason": str(error)})

    async def forget(self, path: InstancePath) -> None:
        """Do not flush an instance that is to be removed; waits while it is being flushed.

        Else the flush of what was removed could settle what came after it.

        Raises
        ------
        OSError
            The instance is in the journal, and cannot be flushed: it must not be removed.
        """
        if self._neighbour is not None:
            await self._neighbour.settle(path)
        while path in self._in_flight:
            await self._flushed.wait()
        if self._journal is not None and path in self._pending:
            await self.flush()
            if path in self._pending:
                raise OSError(
                    f"instance {path.sop_instance_uid} is in the journal, and could not be flushed "
                    "to disk: it stays until that works again"
                )
        elif (instance := self._pending.pop(path, None)) is not None:
            self._bytes -= instance.size

    async def secure(self, instance: StoredInstance) -> None:
        """Make the object of an instance durable, unless nothing is to be."""
        if self._durability is Durability.WRITE_BEHIND or self._journal is not None:
            await self._store.flush([instance.key])

    async def confirm(self, instance: StoredInstance) -> None:
        """Let an instance be acknowledged again: while flushing fails, not before it is on disk."""
        path = instance.identity.path
        if self._neighbour is not None:
            await self._neighbour.settle(path)
        if path in self._doubtful:
            await self._secure_now(instance)
        elif self._failing and (path in self._pending or path in self._in_flight):
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
            if self._neighbour is not None:
                await self._neighbour.settle(path)

    def start(self, task_group: TaskGroup) -> None:
        """Begin to flush, if that is what was chosen."""
        if self._durability is Durability.WRITE_BEHIND or self._journal is not None:
            task_group.start_soon(self._run, name="write-behind")

    async def stop(self) -> None:
        """Flush everything. What cannot be flushed stays noted, and is looked at when starting."""
        self._stopping = True
        self._urgent.set()
        self._noted.set()
        await self.flush()
        if self._pending and self._journal is None:
            _log.critical("%d acknowledged instances are not on disk", len(self._pending))

    async def _run(self) -> None:
        while not self._stopping:
            if not (self._pending or self._failing):
                await self._noted.wait()
            with anyio.move_on_after(self._interval):
                await self._urgent.wait()
            self._urgent = anyio.Event()
            await self.flush()

    async def flush(self) -> None:
        """Flush what has been noted. Failures are logged and audited, and what failed stays."""
        async with self._lock:
            if not (self._pending or self._failing):
                return
            # What comes while these are flushed is for the next flush.
            self._noted = anyio.Event()
            former = self._journal.change_over() if self._journal else []
            self._in_flight, self._pending = self._pending, {}
            try:
                await self._write(list(self._in_flight.values()))
                if self._journal is not None:
                    await self._journal.release(former)
                self._in_flight = {}
            except Exception as error:
                await self._report_failure(error)
            else:
                if self._failing:
                    self._failing = False
                    _log.warning("flushing to disk works again")
                    await self._record(Outcome.SUCCESS, {})
            finally:
                # Empty after a success. What came meanwhile under a path that failed is the newer,
                # and stays.
                self._pending = self._in_flight | self._pending
                self._in_flight = {}
                self._bytes = sum(instance.size for instance in self._pending.values())
                self._flushed.set()
                # Events of anyio cannot be cleared: each flush has one of its own.
                self._flushed = anyio.Event()

    async def _write(self, instances: Sequence[StoredInstance]) -> None:
        await self._store.flush([instance.key for instance in instances])
        await self._index.settle([instance.identity.path for instance in instances])

    async def _report_failure(self, error: Exception) -> None:
        count = len(self._in_flight)
        _log.critical(
            "%d acknowledged instances could not be flushed to disk, and are tried again; until "
            "that works, instances are acknowledged only once they are on disk: %s",
            count, error, exc_info=not isinstance(error, OSError),
        )  # fmt: skip
        if not self._failing:
            # Before anything is awaited: from this moment on nothing is promised that is not on
            # disk.
            self._failing = True
            details: _Details = {"instances": count, "reason": f"{type(error).__name__}: {error}"}
            await self._record(Outcome.FAILURE, details)

    async def _record(self, outcome: Outcome, details: _Details) -> None:
        try:
            await self._audit.record(AuditEvent(AuditKind.FLUSH, outcome, ORIGIN, details))
        except AuditFailedError:
            _log.exception("the state of flushing was not recorded")
