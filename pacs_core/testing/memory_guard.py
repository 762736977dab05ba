"""A deletion guard that holds what it is told to hold, in memory."""

from collections.abc import Mapping, Sequence

from attrs import define, field

from pacs_core.contracts import DeletionGuard, Origin, StoredInstance


@define
class MemoryDeletionGuard(DeletionGuard):
    """Holds instances by their SOP Instance UID.

    Attributes
    ----------
    holds : dict of str to str
        Reasons by SOP Instance UID.
    asked : list of Origin
        On whose behalf it was asked.
    """

    holds: dict[str, str] = field(factory=dict)
    asked: list[Origin] = field(factory=list)

    async def find_holds(
        self, instances: Sequence[StoredInstance], origin: Origin
    ) -> Mapping[str, str]:
        """See base."""
        self.asked.append(origin)
        uids = [instance.identity.sop_instance_uid for instance in instances]
        return {uid: self.holds[uid] for uid in uids if uid in self.holds}
