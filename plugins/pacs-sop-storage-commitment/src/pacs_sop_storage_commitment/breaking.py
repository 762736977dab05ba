"""Promises that were broken: what was committed to and is deleted nevertheless (PS3.4 J.3.3)."""

import logging
from collections.abc import Sequence
from typing import Final

from attrs import define

from pacs_core.api.streams import closing
from pacs_core.contracts import (
    Change,
    ChangeConsumer,
    Level,
    Node,
    Query,
    UidList,
)
from pacs_core.dataset import tag_of
from pacs_sop_storage_commitment.interface import Transactions

_log = logging.getLogger(__name__)

_INSTANCE: Final = tag_of("SOPInstanceUID")


@define(eq=False)
class BrokenPromises(ChangeConsumer):
    """Notes which promises were broken, by whoever overrode what held the instances.

    What was deleted and is here again is promised still.

    Parameters
    ----------
    node : Node
    """

    node: Node

    async def handle(self, changes: Sequence[Change]) -> None:
        """See base."""
        gone = {
            change.instance.identity.sop_instance_uid
            for change in changes
            if change.instance is not None
        }
        query = Query(Level.IMAGE, (UidList(_INSTANCE, tuple(sorted(gone))),))
        async with closing(self.node.archive.instances(query)) as found:
            async for instance in found:
                gone.discard(instance.identity.sop_instance_uid)
        if gone and (count := await self.node.find(Transactions).break_promises(sorted(gone))):
            _log.warning("%d instances that were committed to have been deleted", count)
