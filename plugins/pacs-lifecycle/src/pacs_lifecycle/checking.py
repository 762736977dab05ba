"""Index and store, compared each night; what differs is remembered until it does not any more."""

import logging
import time
from collections import Counter
from contextlib import suppress
from typing import Final

from attrs import define
from pacs_jobs.api import Progress, RunningJob

from pacs_core.api.streams import closing
from pacs_core.contracts import (
    AuditEvent,
    AuditFailedError,
    Difference,
    EventAction,
    Outcome,
    PluginAuditKind,
)
from pacs_lifecycle.handlers import LifecycleHandler
from pacs_lifecycle.interface import Finding, Findings, Pass
from pacs_lifecycle.origins import job_origin

CHECKED: Final = PluginAuditKind("lifecycle.checked")
"""Index and store were compared."""
NAME: Final = "check"
_MOST: Final = 1000
_log = logging.getLogger(__name__)


@define(eq=False)
class CheckHandler(LifecycleHandler):
    """Compares index and store; what is found is looked for once more before it is told."""

    async def run(self, job: RunningJob) -> None:
        """See base."""
        began = time.time()
        found = await self._look(job)
        if found:
            # What came or went meanwhile looks like a fault, and does not do so twice.
            found &= await self._look(job)
        counts = Counter(each.kind.value for each in found)
        findings = self.node.find(Findings)
        known = {each.key: each.found for each in await findings.found(_MOST)}
        await findings.clear(NAME)
        now = time.time()
        await findings.note(
            NAME,
            [
                Finding(
                    each.key, each.kind.value, each.sop_instance_uid, each.detail,
                    known.get(each.key, now),
                )
                for each in found
            ],
        )  # fmt: skip
        await findings.claim(NAME, 0.0)
        await findings.save(NAME, Pass(began=began, ended=now, checked=len(found)), 0.0)
        for each in sorted(found, key=str):
            _log.error("index and store differ: %s", each)
        outcome = Outcome.WARNING if found else Outcome.SUCCESS
        origin = job_origin(self.node.settings)
        event = AuditEvent(CHECKED, outcome, origin, dict(counts), action=EventAction.EXECUTE)
        with suppress(AuditFailedError):  # logged by the trail
            await self.node.audit.record(event)

    async def _look(self, job: RunningJob) -> set[Difference]:
        found: set[Difference] = set()
        async with closing(self.node.archive.differences()) as differences:
            async for each in differences:
                if each.is_fault and len(found) < _MOST:
                    found.add(each)
                    await job.report(Progress(len(found), note="differences"))
        return found
