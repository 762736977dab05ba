"""Facts of studies, gathered while the node runs: what comes, and what is read."""

import logging
import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import anyio
from attrs import define, field

from pacs_core.api.streams import closing
from pacs_core.contracts import (
    Change,
    ChangeConsumer,
    ChangeKind,
    Level,
    Node,
    Origin,
    Query,
    Service,
    Started,
    StoredInstance,
    UidList,
)
from pacs_core.dataset import tag_of
from pacs_store_tiered.auditing import RECALLED, MoveRecorder
from pacs_store_tiered.interface import Studies
from pacs_store_tiered.observing import StoreObserver
from pacs_store_tiered.planning import find_store, first_text, of_study

CHANGES: Final = frozenset(
    {
        ChangeKind.ADDED,
        ChangeKind.REPLACED,
        ChangeKind.STUDY_COMPLETE,
        ChangeKind.STUDY_REOPENED,
    }
)
_STUDY_DATE: Final = tag_of("StudyDate")
_INSTANCE: Final = tag_of("SOPInstanceUID")
_PAUSE: Final = 10.0
_BATCH: Final = 500
_UID: Final = re.compile(r"[0-9][0-9.]*[0-9]")
_log = logging.getLogger(__name__)


@define(eq=False)
class FollowStudies(ChangeConsumer):
    """Notes when studies come, and whether they are complete.

    Parameters
    ----------
    node : Node
    """

    node: Node

    async def handle(self, changes: Sequence[Change]) -> None:
        """Note changes, in their order as far as that matters."""
        studies = self.node.find(Studies)
        arrivals: dict[str, float] = {}
        complete: dict[str, bool] = {}
        for change in changes:
            uid = change.study_instance_uid
            if change.kind in (ChangeKind.ADDED, ChangeKind.REPLACED):
                # When what was there before has come is not known: it is as old as its study says.
                if change.sequence:
                    arrivals[uid] = change.time
                elif uid not in arrivals:
                    arrivals[uid] = await self._study_date(uid) or change.time
                complete[uid] = not change.sequence
            else:
                complete[uid] = change.kind is ChangeKind.STUDY_COMPLETE
        await studies.note_arrivals(arrivals)
        for state in (True, False):
            uids = [uid for uid, each in complete.items() if each is state]
            await studies.note_complete(uids, complete=state)

    async def _study_date(self, uid: str) -> float | None:
        query = of_study(uid, Level.STUDY, _STUDY_DATE)
        async with closing(self.node.archive.search(query)) as found:
            async for each in found:
                try:
                    day = datetime.strptime(first_text(each, _STUDY_DATE), "%Y%m%d")
                    return day.replace(tzinfo=UTC).timestamp()
                except ValueError:
                    return None
        return None


@define(eq=False)
class WatchStore(Service, StoreObserver):
    """Notes what this process reads and recalls, and writes it down every few seconds.

    A study whose objects are recalled one by one makes few audit events so.

    The store knows keys only. A study is recognised by its UID in the key, so a layout without it
    leaves when the study came.

    Parameters
    ----------
    node : Node
    notes_uses : bool
        Whether policies ask for it.
    """

    node: Node
    notes_uses: bool
    _used: set[str] = field(factory=set, init=False)
    _recalled: dict[str, dict[str, int]] = field(factory=dict, init=False)

    async def run(self, started: Started) -> None:
        """Write down what was read, until cancelled; and a last time then."""
        try:
            store = find_store(self.node)
        except LookupError as error:
            if self.notes_uses:
                _log.warning("%s", error)
            started()
            return
        store.observer = self
        started()
        try:
            while True:
                await anyio.sleep(_PAUSE)
                await self._write()
        finally:
            with anyio.CancelScope(shield=True):
                await self._write()

    def note_use(self, key: str) -> None:
        """See base."""
        if self.notes_uses:
            self._used.update(_UID.findall(key))

    def note_recall(self, key: str, source: str, size: int) -> None:
        """See base."""
        self._recalled.setdefault(source, {})[key] = size

    async def _write(self) -> None:
        used, self._used = self._used, set()
        if used:
            await self.node.find(Studies).note_uses(used, time.time())
        recalled, self._recalled = self._recalled, {}
        for source, sizes in recalled.items():
            await self._record(source, sizes)

    async def _record(self, source: str, sizes: Mapping[str, int]) -> None:
        """Record what was recalled, by study; what the index does not know is left out."""
        settings = self.node.settings
        origin = Origin("recall", called_ae_title=settings.ae_title, host=settings.host)
        recorder = MoveRecorder(self.node.audit, RECALLED, origin)
        target = next(iter(find_store(self.node).tiers))
        uids = sorted({uid for key in sizes for uid in _UID.findall(key)[-1:]})
        found: list[StoredInstance] = []
        for start in range(0, len(uids), _BATCH):
            some = UidList(_INSTANCE, tuple(uids[start : start + _BATCH]))
            query = Query(Level.IMAGE, (some,))
            async with closing(self.node.archive.instances(query)) as instances:
                found += [each async for each in instances if each.key in sizes]
        for instance in sorted(found, key=lambda each: each.identity.study_instance_uid):
            await recorder.add(instance, source, target, sizes[instance.key])
        await recorder.close()
