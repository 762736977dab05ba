"""Reports of events on the associations of receivers (PS3.4 CC.2.4, CC.3).

Theory of operation
-------------------
Whoever associates as SCU of the UPS Event SOP Class is told on that association what it follows, by
its AE title; the latest of several associations counts. What is outstanding is in the outbox, and
written with the change, by any worker, or another node on the same database. So for a receiver that
is no configured peer its worker looks there as long as the association lasts. For a peer there is a
job, which takes the association of its own worker if there is one, and else requests one.
"""

import logging

import anyio
from attrs import define

from pacs_core.contracts import AssociationError, Link, Node, Service, Started
from pacs_sop_ups.receivers import Receivers
from pacs_sop_ups.sending import RefusedByPeerError, tell_receiver

logger = logging.getLogger(__name__)

_POLL = 0.5
_PATIENCE = 30.0
_PAUSE = 5.0
"""Seconds after which is told again what was not taken."""


@define(eq=False)
class TellReceivers(Service):
    """Reports events to this worker's receivers that are no peers."""

    node: Node

    async def run(self, started: Started) -> None:
        """Tell each of them, whatever the others do."""
        receivers, told = self.node.find(Receivers), set[str]()
        started()
        async with anyio.create_task_group() as tasks:
            while True:
                for identity, link in tuple(receivers.links.items()):
                    if identity not in told:
                        told.add(identity)
                        tasks.start_soon(self._serve, receivers, link)
                told &= receivers.links.keys()
                await receivers.wait()

    async def _serve(self, receivers: Receivers, link: Link) -> None:
        association = link.association
        title = association.origin.calling_ae_title
        while association.id in receivers.links and not link.has_ended:
            is_peer = self.node.settings.peer(title) is not None
            pause = _POLL
            if not is_peer and receivers.link_of(title) is link:
                try:
                    await tell_receiver(self.node, title, link, association.origin, _PATIENCE)
                except RefusedByPeerError as error:
                    logger.warning("%s: it is told again", error)
                    pause = _PAUSE
                except (AssociationError, TimeoutError) as error:
                    logger.warning("%s is told no more of steps: %r", association.id, error)
                    receivers.discard(association.id)
            await anyio.sleep(pause)
