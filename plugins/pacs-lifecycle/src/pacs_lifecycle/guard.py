"""Studies that somebody holds: kept from deletion by whatever door."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from attrs import define

from pacs_core.contracts import DeletionGuard, Node, Origin, StoredInstance
from pacs_lifecycle.interface import Studies


@define(eq=False)
class HoldGuard(DeletionGuard):
    """Keeps what is held.

    Parameters
    ----------
    node : Node
    """

    node: Node

    async def find_holds(
        self, instances: Sequence[StoredInstance], origin: Origin
    ) -> Mapping[str, str]:
        """See base."""
        uids = {each.identity.study_instance_uid for each in instances}
        reasons = {}
        for hold in await self.node.find(Studies).holds(uids):
            since = datetime.fromtimestamp(hold.since, UTC).date()
            reasons[hold.study] = f"{hold.reason} ({hold.held_by}, {since})"
        return {
            each.identity.sop_instance_uid: reasons[each.identity.study_instance_uid]
            for each in instances
            if each.identity.study_instance_uid in reasons
        }
