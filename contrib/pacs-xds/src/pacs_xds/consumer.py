"""Consumer of the archive's changes: has studies registered that are complete, or corrected.

Changes come at least once, and a study is complete again whenever instances have come or gone and
it is quiet: the job finds out whether there is something new to register. A correction, as of a
name or a merge of patients, completes nothing, so that only what is registered is looked at again;
so is a study of which nothing is left, since it will not be complete any more.
"""

from collections.abc import Sequence

from attrs import define
from pacs_core.api.streams import closing
from pacs_core.contracts import (
    Change,
    ChangeConsumer,
    ChangeKind,
    Level,
    Node,
    Query,
    SingleValue,
)
from pacs_core.dataset import tag_of

from pacs_xds.interface import Registrations


@define(eq=False)
class FollowStudies(ChangeConsumer):
    """Has what is registered follow its study.

    Parameters
    ----------
    node : Node
    registers_complete : bool
        Whether studies are registered when they are complete.
    """

    node: Node
    registers_complete: bool

    async def handle(self, changes: Sequence[Change]) -> None:
        """See base."""
        registrations = self.node.find(Registrations)
        seen: dict[str, set[ChangeKind]] = {}
        for change in changes:
            seen.setdefault(change.study_instance_uid, set()).add(change.kind)
        for uid, kinds in seen.items():
            is_complete = ChangeKind.STUDY_COMPLETE in kinds
            if not (is_complete and self.registers_complete):
                if await registrations.current(uid) is None:
                    continue
                if kinds == {ChangeKind.REMOVED} and await self._exists(uid):
                    continue  # it will be complete, without what has gone
            await registrations.request(uid)

    async def _exists(self, study_instance_uid: str) -> bool:
        condition = (SingleValue(tag_of("StudyInstanceUID"), study_instance_uid),)
        query = Query(Level.STUDY, condition, frozenset())
        async with closing(self.node.archive.search(query)) as found:
            async for _ in found:
                return True
        return False
