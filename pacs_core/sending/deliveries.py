"""Reads ahead, plans, associates, stores one by one.

Two tasks work ahead of the caller who takes the results: one reads the instances in portions, one
opens objects and has them converted. A third holds the association. The C-STORE itself is done in
the caller's task, when it asks for the next result: nothing is sent that nobody asked for, and
results follow each other as fast as the caller takes them.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Sequence
from contextlib import AsyncExitStack
from functools import partial

import anyio
from anyio.abc import TaskGroup
from attrs import frozen

from pacs_core.concurrency import Relay
from pacs_core.contracts import (
    Archive,
    AssociationError,
    AuditTrail,
    Capabilities,
    Connector,
    Form,
    Instances,
    NodeSettings,
    Operation,
    Origin,
    Participant,
    ParticipantRole,
    Peer,
    Proposal,
    RequestedAssociation,
    Sent,
    Transcoder,
)
from pacs_core.sending.batches import Batch, ContextPlan, Portion, read_portions
from pacs_core.sending.deidentified import load_deidentified
from pacs_core.sending.destinations import (
    Destination,
    NothingAllowed,
    Remote,
    Requestor,
    Unreachable,
    WaitForResult,
)
from pacs_core.sending.held_association import HeldAssociation
from pacs_core.sending.read_ahead import Load, load_stored, read_ahead
from pacs_core.sending.several import Several
from pacs_core.sending.transfers import Transfers

# Theory of operation
#
# Three tasks work at once on a delivery, joined by relays that hold nothing, so each is one step
# ahead of the next and no more:
#
#   read_portions  takes instances from the index, 512 at a time
#   read_ahead     opens the next object and reads or begins to convert it
#   the caller     sends the one before, and takes its result
#
# Memory is so bounded by two objects, however slow the peer is. The sending itself is in the
# caller's task, one request after the other, so that they go out in order. Their responses may be
# outstanding, as many as was agreed (PS3.7 D.3.3.3), and on several associations if the peer is
# configured so; results are given in the order of the requests.
#
# A delivery ends between any two instances, as C-CANCEL wants it, when `stop` says so, which is
# asked before each. What is outstanding then still gets its result: it is counted as what it is
# (PS3.4 C.4.2.1.6). A caller that leaves early does not hear of it.
#
# An association is made when a batch needs contexts that the present one was not proposed, and left
# when another takes its place or the delivery ends. It is held in a task of its own, because a
# cancel scope must be left by the task that entered it, while results are asked for by whoever
# likes.
#
# What cannot be sent is a result like any other, with a reason: an instance whose object is gone
# must not keep the others from going out.


@frozen
class Means:
    """What a node sends with."""

    settings: NodeSettings
    archive: Archive
    transcoder: Transcoder
    connector: Connector
    audit: AuditTrail
    capabilities: Capabilities

    def load(self, peer: Peer | None) -> Load:
        """Return how instances are opened for a destination."""
        if peer is None or not peer.deidentify:
            return partial(load_stored, self.archive)
        return partial(load_deidentified, self.archive, self.capabilities, peer)


class Delivery(ABC):
    """One call of a sender.

    Parameters
    ----------
    means : Means
    tasks : TaskGroup
        For what is done ahead; cancelled after :meth:`close`.
    instances : iterable or async iterable of StoredInstance
    peer : Peer or None
        Who gets them, if it is configured.
    """

    def __init__(
        self,
        means: Means,
        tasks: TaskGroup,
        instances: Instances,
        peer: Peer | None,
        stop: Callable[[], bool],
    ) -> None:
        self._means = means
        self._tasks = tasks
        self._instances = instances
        self._load = means.load(peer)
        self._stop = stop
        self._transfers: Transfers | None = None

    async def results(self) -> AsyncGenerator[Sent, None]:
        """Send instances, as far ahead of the results that are asked for as the peer allows."""
        portions: Relay[Portion] = Relay()
        self._tasks.start_soon(read_portions, self._instances, portions)
        async for portion in portions:
            for batch in self._divide(portion):
                destination = await self._destination(batch)
                items = read_ahead(
                    self._tasks,
                    self._load,
                    batch.instances,
                    destination.refusal,
                    destination.conversion,
                )
                outstanding: deque[WaitForResult] = deque()
                async for item in items:
                    try:
                        while len(outstanding) >= destination.window:
                            yield await self._take(outstanding)
                    except BaseException:
                        with anyio.CancelScope(shield=True):
                            await item.close()
                        raise
                    if self._stop():
                        await item.close()
                        break
                    outstanding.append(await destination.begin(item))
                while outstanding:
                    yield await self._take(outstanding)
                if self._stop():
                    return

    async def _take(self, outstanding: deque[WaitForResult]) -> Sent:
        sent = await outstanding.popleft()()
        if self._transfers is not None:
            await self._transfers.add(sent)
        return sent

    @abstractmethod
    def _divide(self, portion: Portion) -> Iterable[Batch]:
        """Divide instances into what one destination takes."""

    @abstractmethod
    async def _destination(self, batch: Batch) -> Destination:
        """Return where instances are sent."""

    async def close(self) -> None:
        """Record what was sent."""
        transfers, self._transfers = self._transfers, None
        if transfers is not None:
            with anyio.CancelScope(shield=True):
                await transfers.record()

    def _own_part(self, *, is_requestor: bool) -> Participant:
        settings = self._means.settings
        return Participant(
            settings.ae_title, ParticipantRole.SOURCE, is_requestor, host=settings.host
        )


class RequestorDelivery(Delivery):
    """Sends to the requestor of an operation, on its association."""

    def __init__(
        self,
        means: Means,
        tasks: TaskGroup,
        instances: Instances,
        operation: Operation,
        stop: Callable[[], bool],
    ) -> None:
        origin = operation.association.origin
        title = origin.calling_ae_title
        peer = means.settings.peer(title)
        super().__init__(means, tasks, instances, peer, stop)
        self._requestor = Requestor(operation, means.transcoder, peer)
        receiver = Participant(title, ParticipantRole.DESTINATION, True, host=origin.host)
        participants = (self._own_part(is_requestor=False), receiver)
        self._transfers = Transfers(means.audit, origin, participants)

    def _divide(self, portion: Portion) -> Iterable[Batch]:
        return [Batch(portion, frozenset())]

    async def _destination(self, batch: Batch) -> Destination:
        return self._requestor


class PeerDelivery(Delivery):
    """Sends to a peer, on associations of its own."""

    def __init__(
        self,
        means: Means,
        tasks: TaskGroup,
        instances: Instances,
        peer: Peer,
        *,
        forms: Collection[Form],
        priority: int,
        move_originator: tuple[str, int] | None,
        stop: Callable[[], bool],
    ) -> None:
        super().__init__(means, tasks, instances, peer, stop)
        self._peer = peer
        self._plan = ContextPlan(means.transcoder, peer, forms)
        self._priority = priority
        self._move_originator = move_originator
        self._held: list[HeldAssociation] = []
        self._proposed: frozenset[Form] = frozenset()
        self._current: Destination = NothingAllowed(peer)

    def _divide(self, portion: Portion) -> Iterable[Batch]:
        return self._plan.divide(portion, self._proposed)

    async def _destination(self, batch: Batch) -> Destination:
        """Return the destination at hand if it does, or another."""
        if batch.contexts <= self._proposed or self._current.reason:
            return self._current
        await self.close()
        proposals = self._plan.proposals(batch.contexts)
        associate = partial(self._associate, proposals)
        try:
            association = await associate().wait_open()
        except AssociationError as error:
            self._current = Unreachable(str(self._peer), str(error))
            self._begin_account(self._origin())
            return self._current
        self._proposed = frozenset((p.abstract_syntax, p.transfer_syntaxes[0]) for p in proposals)
        self._current = first = self._as_remote(association)
        if (most := self._peer.associations) > 1:
            self._current = Several(first, most, associate, self._as_remote)
        self._begin_account(association.info.origin)
        return self._current

    def _associate(self, proposals: Sequence[Proposal]) -> HeldAssociation:
        held = HeldAssociation()
        self._held.append(held)
        connection = self._means.connector.connect(self._peer, proposals)
        self._tasks.start_soon(held.hold, connection)
        return held

    def _as_remote(self, association: RequestedAssociation) -> Remote:
        transcoder, peer = self._means.transcoder, self._peer
        return Remote(association, transcoder, peer, self._priority, self._move_originator)

    def _origin(self) -> Origin:
        peer = self._peer
        return Origin(
            "DIMSE", self._means.settings.ae_title, peer.ae_title, host=peer.host, port=peer.port
        )

    def _begin_account(self, origin: Origin) -> None:
        peer = self._peer
        receiver = Participant(peer.ae_title, ParticipantRole.DESTINATION, host=peer.host)
        participants = (self._own_part(is_requestor=True), receiver)
        self._transfers = Transfers(self._means.audit, origin, participants)

    async def close(self) -> None:
        """Release the associations, and record what was sent on them."""
        held, self._held = self._held, []
        try:
            async with AsyncExitStack() as leaving:
                for each in held:
                    each.let_go()  # all at once
                    leaving.push_async_callback(each.leave)
        finally:
            await super().close()
