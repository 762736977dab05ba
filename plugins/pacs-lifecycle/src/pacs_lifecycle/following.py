"""Follow arriving studies while the node runs, and note when they came."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

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
    UidList,
)
from pacs_core.dataset import tag_of, texts
from pacs_lifecycle.interface import Studies
from pacs_lifecycle.quotas import Counting
from pacs_lifecycle.rules import read_date

CHANGES: Final = frozenset(
    {
        ChangeKind.ADDED,
        ChangeKind.REPLACED,
        ChangeKind.REMOVED,
        ChangeKind.UPDATED,
        ChangeKind.STUDY_COMPLETE,
        ChangeKind.STUDY_REOPENED,
    }
)
_CAME: Final = (ChangeKind.ADDED, ChangeKind.REPLACED)
_GONE_PERHAPS: Final = (ChangeKind.REMOVED, ChangeKind.UPDATED)
"""A correction may have made a study of what has been in another."""
_STUDY: Final = tag_of("StudyInstanceUID")
_DATE: Final = tag_of("StudyDate")


@define(eq=False)
class FollowStudies(ChangeConsumer):
    """Notes when studies come and go, and whether they are complete.

    Parameters
    ----------
    node : Node
    counting : Counting
        Of what belongs to quotas.
    """

    node: Node
    counting: Counting

    async def start(self) -> None:
        """Note what quotas are about."""
        await self.counting.define()

    async def handle(self, changes: Sequence[Change]) -> None:
        """Note changes, in their order as far as that matters."""
        studies = self.node.find(Studies)
        arrivals: dict[str, float] = {}
        complete: dict[str, bool] = {}
        doubtful: dict[str, None] = {}
        for change in changes:
            uid = change.study_instance_uid
            if change.kind in _CAME:
                # When what was there before has come is not known: it is as old as its study says.
                if change.sequence:
                    arrivals[uid] = change.time
                elif uid not in arrivals:
                    arrivals[uid] = await self._study_date(uid) or time.time()
                complete[uid] = not change.sequence
            elif change.kind in _GONE_PERHAPS:
                doubtful[uid] = None
            else:
                complete[uid] = change.kind is ChangeKind.STUDY_COMPLETE
        await studies.note_arrivals(arrivals)
        for state in (True, False):
            uids = [uid for uid, each in complete.items() if each is state]
            await studies.note_complete(uids, complete=state)
        for uid in arrivals.keys() | doubtful.keys() if self.counting.quotas else ():
            await self.counting.count(uid)
        ended = [each.sequence for each in changes if each.kind is ChangeKind.STUDY_COMPLETE]
        await self.counting.heed(max(ended, default=None))
        if doubtful:
            await studies.forget(doubtful.keys() - await self._existing(tuple(doubtful)))

    async def _existing(self, uids: tuple[str, ...]) -> set[str]:
        query = Query(Level.STUDY, (UidList(_STUDY, uids),), frozenset({_STUDY}))
        async with closing(self.node.archive.search(query)) as found:
            return {uid async for each in found for uid in texts(each, _STUDY)}

    async def _study_date(self, uid: str) -> float | None:
        query = Query(Level.STUDY, (SingleValue(_STUDY, uid),), frozenset({_DATE}), limit=1)
        async with closing(self.node.archive.search(query)) as found:
            async for each in found:
                if (day := read_date("".join(texts(each, _DATE)[:1]))) is not None:
                    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
                    return min(midnight.timestamp(), time.time())
        return None
