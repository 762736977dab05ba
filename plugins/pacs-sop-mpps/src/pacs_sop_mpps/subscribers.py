"""Peers that hold an association open to be told of changes (PS3.4 F.9).

Theory of operation
-------------------
The standard has no subscription: whoever associates as SCU of the Notification SOP Class is told,
as long as the association lasts. A step may be changed by any worker, or another node on the same
database, so each worker that has such associations looks for changes every second, and finds what
has happened from how the steps stand. Nothing is kept for a peer that is away: for that there is
``notify``. A peer that does not answer in time is told no more.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from typing import Final

import anyio
from attrs import define, field, frozen

from pacs_core.contracts import (
    AccessDeniedError,
    AssociationError,
    AuditEvent,
    Component,
    Link,
    Node,
    Outcome,
    Restriction,
    Service,
    Started,
)
from pacs_core.dimse import Status
from pacs_sop_mpps.interface import PerformedProcedureSteps
from pacs_sop_mpps.restricting import is_admitted, restrictions_of
from pacs_sop_mpps.sop_classes import MPPS_NOTIFICATION, TOLD
from pacs_sop_mpps.steps import EventType, PerformedStep, event_of

logger = logging.getLogger(__name__)

_POLL: Final = 1.0
_OVERLAP: Final = 10.0
"""Seconds that a change may take to be there for others, after the time that it bears."""
_PATIENCE: Final = 30.0


@frozen
class Event:
    """Something that happened to a step."""

    moment: float
    instance_uid: str
    kind: EventType


@frozen
class Subscription:
    """Who is told, and since when."""

    link: Link
    since: float

    def covers(
        self, event: Event, step: PerformedStep, restrictions: Sequence[Restriction] = ()
    ) -> bool:
        """Tell whether it is told of something that happened to a step."""
        return event.moment >= self.since and is_admitted(step, restrictions)


@define(eq=False)
class Subscribers(Component):
    """The associations of this worker on which changes are reported."""

    subscriptions: dict[str, Subscription] = field(factory=dict)
    _some: anyio.Event = field(factory=anyio.Event)

    async def add(self, node: Node, link: Link) -> None:
        """Tell an association from now on, if its requestor may know."""
        try:
            await restrictions_of(node, link.association.origin)
        except AccessDeniedError:
            return
        subscription = Subscription(link, time.time())
        self.subscriptions[link.association.id] = subscription
        self._some.set()

    def discard(self, association: str) -> None:
        """Tell an association no more."""
        self.subscriptions.pop(association, None)

    async def wait(self) -> None:
        """Wait until there is one."""
        while not self.subscriptions:
            self._some = anyio.Event()
            await self._some.wait()


@define(eq=False)
class ReportChanges(Service):
    """Reports changes to this worker's subscribers."""

    node: Node

    async def run(self, started: Started) -> None:
        """Look for changes while there are subscribers."""
        subscribers = self.node.find(Subscribers)
        started()
        while True:
            await subscribers.wait()
            looked, seen = time.time(), frozenset[Event]()
            while subscribers.subscriptions:
                begin, looked = looked - _OVERLAP, time.time()
                events = await self._events(begin)
                news = sorted(events.keys() - seen, key=lambda each: (each.moment, each.kind))
                seen = frozenset(events)
                if news:
                    async with anyio.create_task_group() as tasks:
                        for wanted in tuple(subscribers.subscriptions.values()):
                            try:  # by the rules of this moment: an association may last for days
                                allowed = await restrictions_of(
                                    self.node, wanted.link.association.origin
                                )
                            except AccessDeniedError:
                                subscribers.discard(wanted.link.association.id)
                                continue
                            own = [e for e in news if wanted.covers(e, events[e], allowed)]
                            tasks.start_soon(self._report, subscribers, wanted.link, own)
                await anyio.sleep(_POLL)

    async def _events(self, begin: float) -> dict[Event, PerformedStep]:
        steps = self.node.find(PerformedProcedureSteps)
        changed = [step async for step in steps.search(changed_since=begin)]
        return {e: step for step in changed for e in _events_of(step) if e.moment >= begin}

    async def _report(self, subscribers: Subscribers, link: Link, events: Sequence[Event]) -> None:
        association = link.association
        try:
            for event in events:
                with anyio.fail_after(_PATIENCE):
                    answer, _ = await link.n_event_report(
                        MPPS_NOTIFICATION, event.instance_uid, event.kind
                    )
                await self._record(link, event, answer.status or 0)
        except (AssociationError, TimeoutError) as error:
            logger.warning("%s is told no more of performed steps: %r", association.id, error)
            subscribers.discard(association.id)

    async def _record(self, link: Link, event: Event, status: int) -> None:
        details = {
            "operation": "event",
            "instance": event.instance_uid,
            "peer": link.association.origin.calling_ae_title,
            "status": f"{status:04X}",
        }
        outcome = Outcome.SUCCESS if status == Status.SUCCESS else Outcome.FAILURE
        told = AuditEvent(TOLD, outcome, link.association.origin, details)
        await self.node.audit.record(told)


def _events_of(step: PerformedStep) -> Iterator[Event]:
    """Iterate over what happened to a step, as far as one can tell by how it stands."""
    yield Event(step.created, step.instance_uid, EventType.IN_PROGRESS)
    if step.changed != step.created:
        yield Event(step.changed, step.instance_uid, event_of(step.state))
