"""Requests and results for other plugins, for commands and for the web."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pacs_jobs.api import JobQueue, NewJob

from pacs_ai.assessing import Assessor
from pacs_ai.assessment import assessment_series
from pacs_ai.config import RuleConfig
from pacs_ai.desk import STEERED, AiDesk
from pacs_ai.intake import Intake
from pacs_ai.interface import Inferences
from pacs_ai.models import (
    LIVE,
    Assessment,
    InferenceInput,
    InferenceRequest,
    InferenceResult,
    RequestFilter,
    RequestState,
    ResultFinding,
    ServiceTotal,
)
from pacs_ai.sources import select_inputs, split_by_series
from pacs_core.api.streams import closing
from pacs_core.contracts import AuditValue, Node, Origin

if TYPE_CHECKING:
    from pacs_ai.performing import NamedInputs

_UNANSWERED: Final = frozenset({RequestState.FAILED, RequestState.CANCELLED})
CANCEL_JOB = "ai.cancel"
"""Kind of the jobs that tell services that a request is not wanted any more."""


def find_inferences(node: Node) -> "DeskInferences":
    """Return this plugin's own inferences of a node, with what others do not see of them."""
    found = node.find(Inferences)
    assert isinstance(found, DeskInferences)  # noqa: S101  this plugin's own
    return found


class DeskInferences(Inferences):
    """The requests of all who share a database.

    Parameters
    ----------
    node : Node
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._desk = node.find(AiDesk)
        self._records = self._desk.records

    async def follow_rules(self, study_uid: str) -> int:
        """Make the requests that rules want of a complete study; return how many are new."""
        made = 0
        for number, rule in self._desk.rules("study"):
            asked_by = f"rule {number + 1}"
            found = await self.follow_rule(
                number, study_uid, asked_by=asked_by, priority=rule.priority
            )
            made += sum(is_new for _, is_new in found)
        return made

    async def follow_rule(
        self,
        number: int,
        study_uid: str,
        *,
        asked_by: str,
        priority: int,
        named: "NamedInputs | None" = None,
        renew: bool = False,
    ) -> list[tuple[InferenceRequest, bool]]:
        """Make the requests that a rule wants of a study, and tell which are new.

        Parameters
        ----------
        number : int
            Of the rule, from 0.
        study_uid, asked_by : str
        priority : int
        named : NamedInputs, optional
            To which of its instances it is restricted.
        renew : bool
            Whether there are new ones for those that failed, or were cancelled; once for each
            `asked_by`.
        """
        rule = self._desk.config.rules[number]
        inputs = await self._select(number, study_uid)
        inputs = [each for each in inputs if named is None or named.has(each)]
        made = []
        for part in split_by_series(inputs, rule.each).values():
            if len(part) < rule.least:
                continue
            request, is_new = await self._add(rule, study_uid, part, priority, asked_by)
            if renew and not is_new and request.state in _UNANSWERED:
                request, is_new = await self._add(
                    rule, study_uid, part, priority, asked_by, again=asked_by
                )
            made.append((request, is_new))
        return made

    async def _select(self, number: int, study_uid: str) -> list[InferenceInput]:
        return await select_inputs(
            self._node,
            study_uid,
            restrictions=(self._desk.restrictions[number],),
            besides=await self._besides(study_uid),
            senders=self._desk.config.rules[number],
        )

    async def _besides(self, study_uid: str) -> frozenset[str]:
        """Return what of a study is no input: results, and the series of what was said of them."""
        results = await self._records.result_uids(study_uid)
        return results | {assessment_series(study_uid)}

    async def _add(
        self,
        rule: RuleConfig,
        study_uid: str,
        inputs: Sequence[InferenceInput],
        priority: int,
        asked_by: str,
        *,
        again: str = "",
    ) -> tuple[InferenceRequest, bool]:
        service = self._desk.service(rule.service)
        return await self._records.add(
            rule.service,
            service.version,
            study_uid,
            inputs,
            lanes=service.concurrency,
            priority=priority,
            asked_by=asked_by,
            again=again,
        )

    async def ask(
        self,
        service: str,
        study_uid: str,
        *,
        series_uids: Sequence[str] = (),
        priority: int = 0,
        asked_by: str = "",
        again: bool = False,
    ) -> Sequence[InferenceRequest]:
        """See base."""
        self._desk.service(service)
        parts: list[tuple[RuleConfig, Sequence[InferenceInput]]] = []
        rules = [] if series_uids else self._desk.rules(service=service)
        for number, rule in rules:
            found = split_by_series(await self._select(number, study_uid), rule.each)
            parts += [(rule, part) for part in found.values() if len(part) >= rule.least]
        if not rules:
            besides = await self._besides(study_uid)
            inputs = await select_inputs(
                self._node, study_uid, series_uids=series_uids, besides=besides
            )
            parts = [(RuleConfig(service), inputs)] if inputs else []
        if not parts:
            raise LookupError(f"study {study_uid} has nothing that {service} could be asked about")
        requests: dict[int, InferenceRequest] = {}
        anew = str(time.time()) if again else ""
        for rule, part in parts:
            request, _ = await self._add(
                rule, study_uid, part, priority or rule.priority, asked_by, again=anew
            )
            requests[request.number] = request
        return list(requests.values())

    async def find(self, number: int) -> InferenceRequest:
        """See base."""
        return await self._records.find(number)

    async def requests(self, wanted: RequestFilter, limit: int) -> AsyncIterator[InferenceRequest]:
        """See base."""
        async with closing(self._records.requests(wanted, limit)) as found:
            async for request in found:
                yield request

    async def find_result(self, number: int) -> InferenceResult:
        """See base."""
        return await self._records.find_result(number)

    async def results(self, wanted: RequestFilter, limit: int) -> AsyncIterator[InferenceResult]:
        """See base."""
        async with closing(self._records.results(wanted, limit)) as found:
            async for result in found:
                yield result

    async def totals(self) -> Sequence[ServiceTotal]:
        """See base."""
        return await self._records.totals()

    async def cancel(self, number: int, by: str) -> InferenceRequest:
        """See base."""
        request = await self._records.find(number)
        reason = f"cancelled by {by}"
        state = str(RequestState.CANCELLED)
        if not await self._records.change(number, LIVE, state=state, reason=reason):
            raise ValueError(f"request {number} is {request.state} already")
        queue = self._node.find(JobQueue)
        if request.job:
            with suppress(KeyError, ValueError):  # it has ended, and perhaps was forgotten
                await queue.cancel(request.job)
        await queue.enqueue(NewJob(CANCEL_JOB, {"request": number}))
        return await self._records.find(number)

    async def release(self, number: int, origin: Origin) -> InferenceResult:
        """See base."""
        result = await self._records.find_result(number)
        released = await Intake(self._desk).release(result, origin)
        await self._record("release", released, origin)
        return released

    async def discard(self, number: int, origin: Origin) -> InferenceResult:
        """See base."""
        result = await self._records.find_result(number)
        await Intake(self._desk).discard(result, origin.user or origin.interface)
        await self._record("discard", result, origin)
        return await self._records.find_result(number)

    async def assess(
        self,
        number: int,
        assessment: Assessment,
        origin: Origin,
        *,
        comment: str = "",
        finding: str = "",
    ) -> InferenceResult:
        """See base."""
        assessor = Assessor(self._node, self._desk)
        return await assessor.assess(number, assessment, origin, comment, finding)

    async def findings(self, number: int) -> Sequence[ResultFinding]:
        """See base."""
        return await Assessor(self._node, self._desk).findings(number)

    async def _record(self, act: str, result: InferenceResult, origin: Origin) -> None:
        details: dict[str, AuditValue] = {
            "do": act,
            "service": result.service,
            "result": result.number,
            "reasons": result.reasons,
        }
        study = result.study_uid
        await self._desk.record(STEERED, None, details, origin=origin, study_uid=study)
