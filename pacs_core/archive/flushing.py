"""Flushing: what was acknowledged, or is in a journal, is brought to disk shortly after."""

import logging
from collections.abc import Mapping, Sequence

import anyio

from pacs_core.archive.journal import Journal
from pacs_core.contracts import (
    AuditEvent,
    AuditFailedError,
    AuditKind,
    AuditTrail,
    AuditValue,
    Index,
    InstancePath,
    ObjectStore,
    Origin,
    Outcome,
    StoredInstance,
)

# Theory of operation
#
# The account of what is not flushed lies in the index, in the transaction of each row: a journal
# beside it could itself be lost in a power failure, or survive without the rows. Here is the same
# in memory (`_pending`, and `_in_flight` while it is flushed), so that nothing need be asked from
# the index.
#
# A flush takes all of _pending, lets the store make the objects durable, and only then lets the
# index forget them. In the other order a power failure could leave a settled row without its
# object, which nobody would ever look at again. If the process dies in between, the account still
# has them, and `Recovery` looks at each before the node serves.
#
# What is in a segment of the journal is in `_pending` from the same step of the event loop on. So a
# flush that changes over to another segment first, and takes all of `_pending` then, may release
# the former one in the end.
#
# A flush that fails is tried again with each interval. Both turns are audited, once each.

_log = logging.getLogger(__name__)

ORIGIN = Origin("archive")

_Details = Mapping[str, AuditValue]


class Flushing:
    """Knows what is not flushed, and flushes it.

    Parameters
    ----------
    store : ObjectStore
    index : Index
    audit : AuditTrail
        Told when flushing fails, and when it works again.
    interval : float
        Seconds between flushes.
    capacity : int
        Bytes of objects after which a flush begins at once.

    Attributes
    ----------
    journal : Journal or None
        Whose segments are released by flushes.
    failing : bool
        The last flush has failed.
    stopping : bool
        There will be no more flush than one.
    """

    def __init__(
        self,
        store: ObjectStore,
        index: Index,
        audit: AuditTrail,
        *,
        interval: float,
        capacity: int,
    ) -> None:
        self._store = store
        self._index = index
        self._audit = audit
        self.interval = interval
        self.capacity = capacity
        self.journal: Journal | None = None
        self.failing = False
        self.stopping = False
        self._pending: dict[InstancePath, StoredInstance] = {}
        self._in_flight: dict[InstancePath, StoredInstance] = {}
        self._bytes = 0
        self._urgent = anyio.Event()
        self._flushed = anyio.Event()
        self._noted = anyio.Event()
        self._lock = anyio.Lock()

    @property
    def size(self) -> int:
        """Bytes of objects that are not flushed."""
        return self._bytes

    def holds(self, path: InstancePath) -> bool:
        """Tell whether an instance was noted, and is not flushed."""
        return path in self._pending or path in self._in_flight

    def note(self, instance: StoredInstance) -> None:
        """Flush an instance with the next."""
        self._pending[instance.identity.path] = instance
        self._bytes += instance.size
        self._noted.set()
        if self._bytes >= self.capacity:
            self.hurry()

    def hurry(self) -> None:
        """Have the next flush begin now."""
        self._urgent.set()

    async def wait(self) -> None:
        """Wait until a flush has ended."""
        await self._flushed.wait()

    async def forget(self, path: InstancePath) -> None:
        """Flush an instance no more; waits while it is being flushed.

        A record of it in the journal would bring it back, so that what is there is flushed instead.

        Raises
        ------
        OSError
            It is in the journal, and cannot be flushed.
        """
        while path in self._in_flight:
            await self._flushed.wait()
        if self.journal is not None and path in self._pending:
            await self.flush()
            if path in self._pending:
                raise OSError(
                    f"instance {path.sop_instance_uid} is in the journal, and could not be flushed "
                    "to disk: it stays until that works again"
                )
        elif (instance := self._pending.pop(path, None)) is not None:
            self._bytes -= instance.size

    async def run(self) -> None:
        """Flush at intervals, and when somebody is in a hurry."""
        while not self.stopping:
            if not (self._pending or self.failing):
                await self._noted.wait()
            with anyio.move_on_after(self.interval):
                await self._urgent.wait()
            self._urgent = anyio.Event()
            await self.flush()

    async def stop(self) -> None:
        """Flush everything. What cannot be flushed stays noted, and is looked at when starting."""
        self.stopping = True
        self._urgent.set()
        self._noted.set()
        await self.flush()
        if self._pending and self.journal is None:
            _log.critical("%d acknowledged instances are not on disk", len(self._pending))

    async def flush(self) -> bool:
        """Flush what has been noted. Failures are logged and audited, and what failed stays.

        Returns
        -------
        bool
            Whether all that was noted before is on disk now, and in no segment.
        """
        async with self._lock:
            if not (self._pending or self.failing):
                return True
            # What comes while these are flushed is for the next flush.
            self._noted = anyio.Event()
            former = self.journal.change_over() if self.journal else []
            self._in_flight, self._pending = self._pending, {}
            try:
                await self._write(list(self._in_flight.values()))
                if self.journal is not None:
                    await self.journal.release(former)
                self._in_flight = {}
            except Exception as error:
                self._noted.set()  # so that it is tried again
                await self._report_failure(error)
                return False
            else:
                if self.failing:
                    self.failing = False
                    _log.warning("flushing to disk works again")
                    await self.record(Outcome.SUCCESS, {})
                return True
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
        if not self.failing:
            # Before anything is awaited: from this moment on nothing is promised that is not on
            # disk.
            self.failing = True
            details: _Details = {"instances": count, "reason": f"{type(error).__name__}: {error}"}
            await self.record(Outcome.FAILURE, details)

    async def record(self, outcome: Outcome, details: _Details) -> None:
        """Record a turn of flushing in the audit trail."""
        try:
            await self._audit.record(AuditEvent(AuditKind.FLUSH, outcome, ORIGIN, details))
        except AuditFailedError:
            _log.exception("the state of flushing was not recorded")
