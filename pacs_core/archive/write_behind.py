"""Write-behind: instances are acknowledged first, and flushed to disk shortly after.

The account of what is not flushed lies in the index, in the transaction of each row: a journal
beside it could itself be lost in a power failure, or survive without the rows. A flush makes
objects durable first and settles their rows then, so that no settled row is without its object.
"""

import logging
from collections.abc import Mapping, Sequence

import anyio
from anyio.abc import TaskGroup

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

_log = logging.getLogger(__name__)

ORIGIN = Origin("archive")

_Details = Mapping[str, AuditValue]


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
        self._lock = anyio.Lock()

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
        if self._bytes >= self._capacity:
            self._urgent.set()
        # The sender waits with its response: that is how a slow disk slows down those who send.
        while self._bytes >= 2 * self._capacity and self.durability is Durability.WRITE_BEHIND:
            await self._flushed.wait()

    async def forget(self, path: InstancePath) -> None:
        """Do not flush an instance that is to be removed; waits while it is being flushed.

        Else the flush of what was removed could settle what came after it.
        """
        while path in self._in_flight:
            await self._flushed.wait()
        if (instance := self._pending.pop(path, None)) is not None:
            self._bytes -= instance.size

    async def secure(self, instance: StoredInstance) -> None:
        """Make the object of an instance durable, unless nothing is to be."""
        if self._durability is Durability.WRITE_BEHIND:
            await self._store.flush([instance.key])

    async def confirm(self, instance: StoredInstance) -> None:
        """Let an instance be acknowledged again: while flushing fails, not before it is on disk."""
        path = instance.identity.path
        if self._failing and (path in self._pending or path in self._in_flight):
            await self._store.flush([instance.key])

    def start(self, task_group: TaskGroup) -> None:
        """Begin to flush, if that is what was chosen."""
        if self._durability is Durability.WRITE_BEHIND:
            task_group.start_soon(self._run, name="write-behind")

    async def stop(self) -> None:
        """Flush everything. What cannot be flushed stays noted, and is looked at when starting."""
        self._stopping = True
        self._urgent.set()
        await self.flush()
        if self._pending:
            _log.critical("%d acknowledged instances are not on disk", len(self._pending))

    async def _run(self) -> None:
        while not self._stopping:
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
            self._in_flight, self._pending = self._pending, {}
            try:
                await self._write(list(self._in_flight.values()))
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
        self._in_flight = {}

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
