"""All objects read again at a bounded rate, compared with their digests, and mended.

A pass goes over the studies in the order of their UIDs, and notes the last one after each: so it
goes on there after whatever has ended it, and in the next night. Of several processes one has it.
"""

import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from attrs import define, evolve, field
from pacs_jobs.api import Progress, RunningJob

from pacs_core.api.copying import ReadPace
from pacs_core.api.streams import closing
from pacs_core.api.times import Times
from pacs_core.contracts import (
    DifferenceKind,
    Level,
    NotOnlineError,
    Origin,
    Query,
    SingleValue,
    StoredInstance,
)
from pacs_core.dataset import tag_of
from pacs_lifecycle.handlers import LifecycleHandler
from pacs_lifecycle.interface import Finding, Findings, Pass, Studies
from pacs_lifecycle.mending import mend
from pacs_lifecycle.planning import of_study
from pacs_lifecycle.rules import DAY

NAME: Final = "scrub"
_INSTANCE: Final = tag_of("SOPInstanceUID")
_MOST: Final = 1000
_HOLD: Final = 300.0
_SAVE: Final = 5.0

_log = logging.getLogger(__name__)


def local_now() -> datetime:
    """Return the time by the clock of the machine."""
    return datetime.now().astimezone()


@define(eq=False)
class ScrubHandler(LifecycleHandler):
    """Reads objects again, as long as it is the time for that.

    Parameters
    ----------
    clock : callable
    """

    clock: Callable[[], datetime] = local_now
    _saved: float = field(default=0.0, init=False)
    _known: set[str] = field(factory=set, init=False)

    async def run(self, job: RunningJob) -> None:
        """See base."""
        findings = self.node.find(Findings)
        if not self._is_time() or (state := await findings.claim(NAME, _HOLD)) is None:
            return
        now = time.time()
        if state.ended:
            if now - state.began < self.config.scrub.every * DAY:
                await findings.save(NAME, state, 0.0)
                return
            state = Pass()
        if not state.began:
            state = evolve(state, began=now)
            _log.info("all objects are read again")
        self._known = {each.instance for each in await findings.found(_MOST)}
        pace = ReadPace(self.config.scrub.rate * 1e6)
        async with closing(self.node.find(Studies).by_uid(state.position)) as studies:
            async for uid in studies:
                state = await self._read_study(uid, state, pace)
                await job.report(Progress(state.checked, note=f"{state.size / 1e6:.0f} MB read"))
                if not self._is_time():
                    await findings.save(NAME, state, 0.0)
                    return
        _log.info(
            "all objects were read again: %d instances, %.0f MB, %d not online",
            state.checked, state.size / 1e6, state.unread,
        )  # fmt: skip
        await self._forget_what_is_gone()
        await findings.save(NAME, evolve(state, position="", ended=time.time()), 0.0)

    async def _forget_what_is_gone(self) -> None:
        """Forget findings about what was deleted since."""
        findings = self.node.find(Findings)
        for finding in await findings.found(_MOST):
            query = Query(Level.IMAGE, (SingleValue(_INSTANCE, finding.instance),), limit=1)
            if not await self.node.archive.count(query):
                await findings.clear(NAME, [finding.instance])

    def _is_time(self) -> bool:
        now = self.clock()
        return Times(self.config.scrub.hours).next_open(now) == now

    async def _read_study(self, uid: str, state: Pass, pace: ReadPace) -> Pass:
        async with closing(self.node.archive.instances(of_study(uid))) as instances:
            async for instance in instances:
                state = await self._read(instance, state, pace)
                # The study is read again if this ends here.
                await self._save(state)
        state = evolve(state, position=uid)
        await self._save(state)
        return state

    async def _save(self, state: Pass) -> None:
        """Note how far it has come, every few seconds: that takes a look at a disk, too."""
        if time.time() - self._saved > _SAVE:
            await self.node.find(Findings).save(NAME, state, _HOLD)
            self._saved = time.time()

    async def _read(self, instance: StoredInstance, state: Pass, pace: ReadPace) -> Pass:
        findings, kind = self.node.find(Findings), DifferenceKind.DAMAGED
        uid = instance.identity.sop_instance_uid
        settings = self.node.settings
        origin = Origin("scrub", called_ae_title=settings.ae_title, host=settings.host)
        try:
            reason = await self.node.archive.examine(instance, origin, pace)
        except NotOnlineError:
            return evolve(state, unread=state.unread + 1)
        except OSError as error:
            reason, kind = f"it cannot be read: {error}", DifferenceKind.UNREADABLE
        if reason and await mend(self.node, self.config.scrub, instance, origin):
            reason = ""
        if reason:
            finding = Finding(instance.key, kind.value, uid, reason, time.time())
            await findings.note(NAME, [finding])
        elif uid in self._known:
            # What was stored again has another object than the one that was found damaged.
            await findings.clear(NAME, [uid])
            self._known.discard(uid)
        return evolve(state, checked=state.checked + 1, size=state.size + instance.size)
