"""Upkeep: looks after requests whose results come later, and tidies up."""

import logging
import shutil
import time
from typing import Final

import anyio.to_thread
from attrs import define, field
from pacs_jobs.api import JobHandler, Progress, RunningJob

from pacs_ai.answers import kept_answers
from pacs_ai.asking import Adapters, give_up
from pacs_ai.desk import AiDesk
from pacs_ai.forgetting import Forgetter
from pacs_ai.intake import Intake
from pacs_ai.interface import Answer, InferenceAdapter, ServiceRefusedError
from pacs_ai.models import LIVE, InferenceRequest, RequestFilter, RequestState, ResultState
from pacs_core.api.streams import closing
from pacs_core.contracts import Node

logger = logging.getLogger(__name__)

_MOST: Final = 10_000
_DAY: Final = 24 * 3600.0


@define(eq=False)
class UpkeepHandler(JobHandler):
    """Does all that is to be done now and then.

    Parameters
    ----------
    node : Node
    """

    node: Node
    _desk: AiDesk = field(init=False)
    _adapters: Adapters = field(init=False)
    _forgetter: Forgetter = field(init=False)

    async def start(self) -> None:
        """Find what it works with."""
        self._desk = self.node.find(AiDesk)
        self._forgetter = Forgetter(self._desk.records, self.node.archive)
        self._adapters = Adapters(self._desk)
        await self._adapters.start()

    async def stop(self) -> None:
        """Stop the adapters."""
        await self._adapters.stop()

    async def run(self, job: RunningJob) -> None:
        """See base."""
        records, config = self._desk.records, self._desk.config
        wanted = RequestFilter(states=(str(RequestState.ASKED),))
        async with closing(records.requests(wanted, _MOST)) as found:
            requests = [each async for each in found]
        for request in requests:
            await self._look(request)
        await self._remove_answers()
        old = RequestFilter(states=(str(ResultState.QUARANTINED),))
        before = time.time() - config.keep_quarantine * _DAY
        async with closing(records.results(old, _MOST)) as results:
            for result in [each async for each in results if each.arrived < before]:
                await Intake(self._desk).discard(result, "its time was over")
        forgotten = await self._forgetter.forget(config.keep)
        await anyio.to_thread.run_sync(self._remove_leftovers)
        note = f"{len(requests)} requests looked after, {forgotten} forgotten"
        await job.report(Progress(note=note))

    async def _remove_answers(self) -> None:
        """Remove answers of requests that have ended: results were made of them, or never will."""
        found = await anyio.to_thread.run_sync(lambda: list(kept_answers(self._desk.answers)))
        for number, path in found:
            try:
                is_over = (await self._desk.records.find(number)).state not in LIVE
            except KeyError:
                is_over = True
            if is_over:
                await anyio.to_thread.run_sync(shutil.rmtree, path, True)

    def _remove_leftovers(self) -> None:
        """Remove what a node that was killed has left of results; they were not acknowledged."""
        spool = self._desk.spool
        for path in spool.iterdir() if spool.exists() else ():
            if path.stat().st_mtime < time.time() - _DAY:
                path.unlink(missing_ok=True)

    async def _look(self, request: InferenceRequest) -> None:
        """See whether a request was answered, or never will be."""
        try:
            service = self._desk.service(request.service)
            adapter = self._adapters.find(request.service)
            answer = await adapter.look(request)
        except (LookupError, ServiceRefusedError) as error:
            await give_up(self._desk, request, str(error))
            return
        except Exception as error:
            logger.warning("%s does not say how request %d is: %s",
                request.service, request.number, error)  # fmt: skip
            answer = Answer.LATER
        if answer is Answer.COMPLETE:
            await self._desk.note_answered(request, {RequestState.ASKED})
            return
        now, days = time.time(), self._desk.config.give_up_after
        if answer is Answer.WAITING and now - request.created < days * _DAY:
            await self._desk.records.change(request.number, {RequestState.ASKED}, asked=now)
        elif answer is Answer.WAITING:
            await self._give_up(request, adapter, f"nobody has begun with it in {days:g} days")
        elif now - request.asked > service.answer_within:
            reason = f"no result in {service.answer_within:g} s"
            await self._give_up(request, adapter, reason)

    async def _give_up(
        self, request: InferenceRequest, adapter: InferenceAdapter, reason: str
    ) -> None:
        """Wait no more, and tell the service."""
        await give_up(self._desk, request, reason)
        try:
            await adapter.cancel(request)
        except Exception as error:
            logger.warning("%s is not told that request %d is given up: %s",
                request.service, request.number, error)  # fmt: skip


@define(eq=False)
class CancelHandler(JobHandler):
    """Tells a service that a request is not wanted any more.

    Parameters
    ----------
    node : Node
    """

    node: Node
    _adapters: Adapters = field(init=False)

    async def start(self) -> None:
        """Find what it works with."""
        self._adapters = Adapters(self.node.find(AiDesk))
        await self._adapters.start()

    async def stop(self) -> None:
        """Stop the adapters."""
        await self._adapters.stop()

    async def run(self, job: RunningJob) -> None:
        """See base."""
        desk = self.node.find(AiDesk)
        request = await desk.records.find(int(job.arguments["request"]))
        await self._adapters.find(request.service).cancel(request)
