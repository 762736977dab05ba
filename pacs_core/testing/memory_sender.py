"""A sender without a network: keeps what it is given, and answers as it is told."""

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Collection,
    Mapping,
)
from contextlib import aclosing, asynccontextmanager

from attrs import define, field, frozen

from pacs_core.concurrency import closing
from pacs_core.contracts import (
    Archive,
    Form,
    Instances,
    Operation,
    Peer,
    Sender,
    Sending,
    Sent,
    StoredInstance,
)
from pacs_core.contracts.sending import never
from pacs_core.dimse import Priority, Status, StatusCategory, category, describe


@frozen
class Delivered:
    """An instance that a peer, or the requestor of an operation, was sent."""

    instance: StoredInstance
    receiver: str
    priority: int = Priority.MEDIUM
    move_originator: tuple[str, int] | None = None


async def _iterate(instances: Instances) -> AsyncGenerator[StoredInstance, None]:
    if isinstance(instances, AsyncIterable):
        async with closing(instances) as iterator:
            async for instance in iterator:
                yield instance
    else:
        for instance in instances:
            yield instance


@define
class MemorySender(Sender):
    """Collects what is sent.

    Attributes
    ----------
    delivered : list of Delivered
        What arrived.
    status : int, or mapping of str to int
        How receivers answer; by SOP Instance UID, else 0000H.
    unreachable : set of str
        AE titles of peers with which no association can be made.
    """

    delivered: list[Delivered] = field(factory=list)
    status: int | Mapping[str, int] = 0
    unreachable: set[str] = field(factory=set)

    def send(
        self,
        instances: Instances,
        peer: Peer,
        *,
        archive: Archive | None = None,
        forms: Collection[Form] = (),
        priority: int = Priority.MEDIUM,
        move_originator: tuple[str, int] | None = None,
        stop: Callable[[], bool] = never,
    ) -> Sending:
        """Send to memory."""
        return self._run(
            instances, lambda each: Delivered(each, peer.ae_title, priority, move_originator), stop
        )

    def send_back(
        self,
        instances: Instances,
        operation: Operation,
        *,
        archive: Archive | None = None,
        stop: Callable[[], bool] = never,
    ) -> Sending:
        """Send to memory."""
        title = operation.association.origin.calling_ae_title
        return self._run(instances, lambda each: Delivered(each, title), stop)

    @asynccontextmanager
    async def _run(
        self,
        instances: Instances,
        deliver: Callable[[StoredInstance], Delivered],
        stop: Callable[[], bool],
    ) -> AsyncIterator[AsyncIterator[Sent]]:
        async with aclosing(self._results(instances, deliver, stop)) as results:
            yield results

    async def _results(
        self,
        instances: Instances,
        deliver: Callable[[StoredInstance], Delivered],
        stop: Callable[[], bool],
    ) -> AsyncGenerator[Sent, None]:
        async with closing(_iterate(instances)) as iterator:
            async for instance in iterator:
                if stop():
                    return
                yield self._take(deliver(instance))

    def _take(self, delivery: Delivered) -> Sent:
        instance, uid = delivery.instance, delivery.instance.identity.sop_instance_uid
        if delivery.receiver in self.unreachable:
            reason = f"{delivery.receiver} cannot be reached"
            return Sent(instance, Status.PROCESSING_FAILURE, reason, peer_failed=True)
        status = self.status if isinstance(self.status, int) else self.status.get(uid, 0)
        kind = category(status)
        if kind is not StatusCategory.FAILURE:
            self.delivered.append(delivery)
        reason = "" if kind is StatusCategory.SUCCESS else f"C-STORE: {describe(status)}"
        size = instance.size - instance.dataset_offset
        return Sent(instance, status, reason, uid, instance.transfer_syntax_uid, size)
