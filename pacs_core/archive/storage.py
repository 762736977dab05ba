"""The store and the index that together are the archive, and what keeps them in step.

An object without an index row is an orphan: it takes room, and ``pacs index verify`` names it. A
row without an object is a lost instance. So objects come first and go last, and nobody removes an
object that the index may point to.
"""

import logging
from types import TracebackType

import anyio
from attrs import evolve, frozen

from pacs_core.archive.events import EventDispatcher
from pacs_core.archive.incoming_instance import IncomingInstance, InstanceWriter
from pacs_core.archive.write_behind import WriteBehind
from pacs_core.contracts import (
    Durability,
    Index,
    InstanceEvent,
    InstanceEventKind,
    InstanceIdentity,
    InstanceRecord,
    ObjectNotFoundError,
    ObjectStore,
    Origin,
    StoredInstance,
    StoredObject,
)

# Theory of operation
#
# Two systems without a common transaction are kept in step by order alone:
#
#   storing    object, then row: a crash in between leaves an orphan
#   replacing  new object, row moved to it, then the old object goes
#   deleting   row, then object: a crash in between leaves an orphan; if the object cannot go,
#              the row comes back
#
# So after a crash at any moment each row has its object. Orphans cost room only, and `pacs index
# verify` and a rebuild find them.
#
# Where a step fails without a crash, the object is withdrawn at once, but only after the index has
# been asked whether it points there: the row may have been committed although its acknowledgement
# was lost. If the index cannot say, the object stays. Cancellation is not treated as failure: it
# comes only from a deadline, when the index may be about to add the row at that very moment.

_log = logging.getLogger(__name__)

CLEANUP_TIMEOUT = 30.0
"""Seconds for the removal of what a failure has left."""


def identity_beside(served: InstanceIdentity, other: InstanceIdentity) -> InstanceIdentity:
    """Return the identity whose keys another object of a served instance gets.

    Keys may be made with the series, and the other may be of another one: so it is found again by
    what is served, such as when the instance is deleted.
    """
    return evolve(other, series_instance_uid=served.series_instance_uid)


@frozen
class ArchiveStorage:
    """Store, index, and who is told of changes."""

    store: ObjectStore
    index: Index
    events: EventDispatcher
    behind: WriteBehind
    ae_title: str

    def writer(
        self,
        incoming: IncomingInstance,
        durability: Durability,
        beside: InstanceIdentity | None = None,
    ) -> InstanceWriter:
        """Begin the object of an incoming instance; at a key `beside` what is served, if given."""
        identity = incoming.identity
        if beside is not None:
            identity = identity_beside(beside, identity)
        writer = self.store.writer(identity, durable=durability is Durability.COMMIT)
        return InstanceWriter(writer, incoming, self.ae_title)

    async def tell(self, kind: InstanceEventKind, record: InstanceRecord, origin: Origin) -> None:
        """Publish an event, if anyone listens."""
        if self.events.active:
            event = InstanceEvent(kind, record.instance, origin, record.attributes)
            await self.events.publish(event)

    async def tell_received(self, incoming: IncomingInstance) -> None:
        """Publish that an instance has arrived whole; it has no key yet."""
        if self.events.active:
            # What its object will have; the digest within has its room in the prefix already.
            size = incoming.size + len(incoming.prefix(self.ae_title))
            record = incoming.record(StoredObject("", size))
            await self.tell(InstanceEventKind.RECEIVED, record, incoming.origin)

    def withdraw_on_failure(self, instance: StoredInstance) -> "WithdrawOnFailure":
        """Remove the object that was just committed if it does not get into the index.

        Runs shielded: only a deadline cancels it. Then the index may still be about to add the
        row, and the object must stay.
        """
        return WithdrawOnFailure(self, instance)

    async def withdraw(self, instance: StoredInstance) -> None:
        """Remove an object unless the index points to it."""
        with anyio.move_on_after(CLEANUP_TIMEOUT, shield=True) as scope:
            try:
                current = await self.index.locate(instance.identity.path)
            except Exception:
                _log.exception("object %s may be left without an index row", instance.key)
                return
            if current is None or current.key != instance.key:
                await self.discard(instance.key)
        if scope.cancelled_caught:
            _log.error("object %s may be left without an index row", instance.key)

    async def discard(self, key: str) -> None:
        """Delete an object that nothing points to; a failure leaves an orphan and is logged."""
        try:
            with anyio.fail_after(CLEANUP_TIMEOUT, shield=True):
                await self.store.delete(key)
        except ObjectNotFoundError:
            pass
        except Exception:
            _log.exception("object %s is left without an index row", key)


@frozen
class WithdrawOnFailure:
    """See :meth:`ArchiveStorage.withdraw_on_failure`."""

    storage: ArchiveStorage
    instance: StoredInstance

    async def __aenter__(self) -> None:
        """Begin."""

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove the object if something failed."""
        # CancelledError is none: see above why the object must stay then.
        if isinstance(exc, Exception):
            await self.storage.withdraw(self.instance)
        elif exc is not None:
            _log.error("object %s is left without an index row", self.instance.key)
