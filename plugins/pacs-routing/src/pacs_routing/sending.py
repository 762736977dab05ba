"""The job that sends what waits for a peer, lane by lane, and notes what became of it.

Theory of operation
-------------------
A job sends batch after batch, each on an association of its own, until nothing is left that is due,
or for so long that another shall have its turn; then it passes the lane on. Results are written in
parts as they come: after a kill, at most the last part is sent again, and a peer tells by the SOP
Instance UID that it has these already.

If the peer is away, nothing is lost but time: the job fails, and the queue tries it again after a
pause that grows. If that happens twice with nothing sent, although associations can be made, what
was to go first is put behind all others: an instance that makes a peer end each association keeps
nothing else from it.

What a peer refuses by itself is tried again, so often as configured, and is given up then; out of
resources (A7xxH) is no such answer, and may last for days.
"""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import takewhile
from typing import Final
from uuid import uuid4

import anyio
from attrs import define, field
from pacs_jobs.api import JobHandler, NewJob, Progress, RunningJob

from pacs_core.contracts import (
    AssociationError,
    ConnectError,
    DicomWebPeer,
    InstancePath,
    Node,
    Peer,
    PeerTimeoutError,
    Proposal,
    Sent,
    StoredInstance,
)
from pacs_core.dimse import Priority
from pacs_routing.auditing import record_given_up
from pacs_routing.interface import Deliveries, Delivery, DeliveryState, Outcome
from pacs_routing.routes import Routes
from pacs_routing.rows import version_of

COMMIT_JOB: Final = "routing.commit"
_LONGEST_RUN: Final = 600.0
_PART: Final = 20
_OUT_OF_RESOURCES: Final = range(0xA700, 0xA800)
_PATIENCE: Final = 5.0
_VERIFICATION: Final = "1.2.840.10008.1.1"


class PeerAwayError(OSError):
    """A peer cannot be reached, or ends associations; says how."""


@define
class _Tally:
    """What became of a batch."""

    settled: int = 0
    arrived: int = 0
    away: str = ""
    first_lost: Delivery | None = None


@define(eq=False)
class SendHandler(JobHandler):
    """Sends what waits for one peer in one lane.

    Parameters
    ----------
    node : Node
    """

    node: Node
    _routes: Routes = field(init=False)
    _deliveries: Deliveries = field(init=False)

    async def start(self) -> None:
        """Find what it works with."""
        self._routes = self.node.find(Routes)
        self._deliveries = self.node.find(Deliveries)

    async def run(self, job: RunningJob) -> None:
        """See base."""
        peer, lane = str(job.arguments["peer"]), int(job.arguments["lane"])
        arrived, end = 0, anyio.current_time() + _LONGEST_RUN
        while anyio.current_time() < end:
            closed = self._routes.closed()
            limit = self._routes.config.batch
            batch = await self._deliveries.due(peer, lane, limit, closed)
            if not batch:
                break
            tally = await self._send(_alike(batch))
            if tally.first_lost and not arrived + tally.arrived and job.attempt > 1:
                await self._put_back(tally.first_lost)
            arrived += tally.arrived
            await job.report(Progress(arrived, note="instances sent"))
            if not (tally.settled or tally.away):
                tally.away = f"nothing was heard of what was sent to {peer}"
            if tally.away and not arrived:
                raise PeerAwayError(tally.away)
            if tally.away:
                pause = time.time() + self._routes.config.first_pause
                await self._deliveries.pass_on(peer, lane, job.number, pause, closed)
                return
        await self._deliveries.pass_on(peer, lane, job.number, 0.0, self._routes.closed())

    async def _send(self, batch: Sequence[Delivery]) -> _Tally:
        first = batch[0]
        peer = self._routes.find_peer(first.peer, first.deidentify)
        if peer is None:
            raise PeerAwayError(f"there is no peer {first.peer} in the configuration any more")
        instances: dict[InstancePath, StoredInstance] = {}
        waiting: dict[InstancePath, Delivery] = {}
        gone: list[Outcome] = []
        for delivery in batch:
            path = InstancePath(delivery.study_uid, delivery.instance_uid)
            found = await self.node.archive.locate(path)
            if found is None or version_of(found) != delivery.version:
                reason = "another took its place" if found else "it is not in the archive any more"
                gone.append(Outcome(delivery.number, DeliveryState.GONE, reason=reason))
            else:
                instances[path], waiting[path] = found, delivery
        await self._deliveries.note(gone)
        tally = _Tally(settled=len(gone))
        outcomes: list[Outcome] = []
        try:
            async with self._sending(list(instances.values()), peer, first.priority) as results:
                async for sent in results:
                    path = sent.instance.identity.path
                    delivery = waiting[path]
                    if sent.peer_failed:
                        if tally.first_lost is None:
                            tally.first_lost = delivery
                            tally.away = sent.reason or f"{first.peer} has ended the association"
                        continue
                    outcomes.append(outcome := await self._judge(delivery, sent))
                    tally.settled += 1
                    tally.arrived += outcome.state is DeliveryState.SENT
                    if len(outcomes) >= _PART:
                        await self._note(outcomes, waiting)
                        outcomes = []
                    if delivery.is_ordered and outcome.state is DeliveryState.WAITING:
                        break
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(_PATIENCE):
                await self._note(outcomes, waiting)
        return tally

    def _sending(
        self, instances: Sequence[StoredInstance], peer: Peer | DicomWebPeer, priority: int
    ) -> AbstractAsyncContextManager[AsyncIterator[Sent]]:
        if isinstance(peer, Peer):
            level = Priority.HIGH if priority > 0 else Priority.MEDIUM
            return self.node.sender.send(instances, peer, priority=level)
        from pacs_routing.dicomweb import send_by_dicomweb

        return send_by_dicomweb(self.node, instances, peer)

    async def _put_back(self, delivery: Delivery) -> None:
        """Let others go before an instance that seems to be why a peer ends associations."""
        peer = self._routes.find_peer(delivery.peer)
        if isinstance(peer, Peer):
            try:
                async with self.node.connect(peer, [Proposal(_VERIFICATION)]):
                    pass
            except (ConnectError, PeerTimeoutError):
                return
            except AssociationError:
                pass  # it answers
        # Longer than the queue lets this job wait, so that it is not the first again.
        due = time.time() + 1.5 * self._routes.config.longest_pause
        reason = f"{delivery.peer} ends the association when it is sent this"
        state = DeliveryState.WAITING
        await self._deliveries.note(
            [Outcome(delivery.number, state, delivery.attempts, due, delivery.status, reason)]
        )

    async def _judge(self, delivery: Delivery, sent: Sent) -> Outcome:
        uid = sent.sop_instance_uid or delivery.instance_uid
        if sent.arrived:
            state, attempts = DeliveryState.SENT, delivery.attempts
            return Outcome(delivery.number, state, attempts, 0.0, sent.status, sent.reason, uid)
        reason = sent.reason or f"{delivery.peer} answered {sent.status:04X}H"
        attempts = delivery.attempts + (sent.status not in _OUT_OF_RESOURCES)
        state, due = DeliveryState.WAITING, self._routes.pause_after(delivery)
        if attempts >= self._routes.config.refusals:
            state = DeliveryState.FAILED
            await record_given_up(self.node, delivery, reason)
        return Outcome(delivery.number, state, attempts, due, sent.status, reason, uid)

    async def _note(self, outcomes: Sequence[Outcome], of: "dict[InstancePath, Delivery]") -> None:
        by_number = {delivery.number: delivery for delivery in of.values()}
        asked = [
            each.number
            for each in outcomes
            if each.state is DeliveryState.SENT and by_number[each.number].is_committed
        ]
        follow = None
        if asked:
            peer = by_number[asked[0]].peer
            arguments = {
                "peer": peer,
                "deliveries": asked,
                "transaction": f"2.25.{uuid4().int}",  # PS3.5 B.2
            }
            follow = NewJob(COMMIT_JOB, arguments, key=f"routing-commit/{peer}")
        await self._deliveries.note(outcomes, follow)


def _alike(batch: Sequence[Delivery]) -> list[Delivery]:
    """Return the first of a batch that go out in one form, with one priority."""

    def kind(delivery: Delivery) -> tuple[str, bool]:
        return delivery.deidentify, delivery.priority > 0

    return list(takewhile(lambda each: kind(each) == kind(batch[0]), batch))
