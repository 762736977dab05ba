"""Studies that are complete because the archive has committed to all that it has of them."""

from typing import Final

from attrs import define

from pacs_core.api.streams import closing
from pacs_core.contracts import Level, Node, Query, StudyCompleteness, UidList
from pacs_core.dataset import tag_of
from pacs_sop_storage_commitment.interface import Transactions

_STUDY_UID: Final = tag_of("StudyInstanceUID")
_PAGE: Final = 200


@define(eq=False)
class CommitmentCompleteness(StudyCompleteness):
    """Goes by what modalities have asked about (PS3.4 J.3.2).

    They ask when they have sent everything. A study is complete if each of its instances was asked
    about, and committed to.

    Parameters
    ----------
    node : Node
    """

    node: Node

    async def is_complete(self, study_instance_uid: str) -> bool:
        """See base."""
        query = Query(Level.IMAGE, (UidList(_STUDY_UID, (study_instance_uid,)),))
        count, page = 0, list[str]()
        async with closing(self.node.archive.instances(query)) as found:
            async for instance in found:
                page.append(instance.identity.sop_instance_uid)
                count += 1
                if len(page) == _PAGE:
                    if not await self._are_kept(page):
                        return False
                    page = []
        return count > 0 and await self._are_kept(page)

    async def _are_kept(self, uids: list[str]) -> bool:
        promises = await self.node.find(Transactions).promises(uids)
        return all(uid in promises and not promises[uid].is_asked_for for uid in uids)
