"""Work items that somebody else has created on this node, performed by asking a service.

Theory of operation
-------------------
A rule with ``on = "ups"`` has conditions on unified procedure steps (PS3.3 C.30): code, station,
label, what it is about. Now and then the SCHEDULED ones that are READY are looked through; whoever
created them did so by N-CREATE, UPS-RS or on this node, and knows that it is taken by its state.

Each is a row, with the Transaction UID by which it is held, written before it is claimed; so that a
node that is killed at any moment finds what it holds, and goes on: a step that was not yet claimed
is claimed, one whose requests are not yet noted makes them again, and finds those that it made.
The row goes when the step has ended. A step that somebody else has claimed meanwhile is theirs.

What the step is about says its Input Information Sequence, else Study Instance UID and the studies
of its orders. COMPLETED it names the results in Output Information Sequence (PS3.4 CC.2.5-3);
CANCELED it says why (PS3.3 C.30.3). Somebody who wants it canceled (PS3.4 CC.2.2) is heard as long
as a service still works on it.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final
from uuid import uuid4

import anyio
from pacs_sop_ups.api import ProcedureStep, StepState, UnifiedProcedureSteps

from pacs_ai.config import RuleConfig
from pacs_ai.desk import PERFORMED, AiDesk
from pacs_ai.models import (
    LIVE,
    InferenceInput,
    InferenceRequest,
    InferenceResult,
    RequestFilter,
    RequestState,
    ResultState,
)
from pacs_ai.records import HeldStep
from pacs_ai.references import Reference, code_item, reference_items
from pacs_core.api.attribute_lists import first
from pacs_core.api.conditions import read_test
from pacs_core.api.normalized import RefusedRequestError
from pacs_core.api.streams import closing
from pacs_core.contracts import Condition, Node, Outcome, Service, Started, matches
from pacs_core.dataset import Attributes, MutableAttributes, Value, items, tag_of

logger = logging.getLogger(__name__)

_INPUTS: Final = tag_of("InputInformationSequence")
_STUDY: Final = tag_of("StudyInstanceUID")
_SERIES: Final = tag_of("SeriesInstanceUID")
_REFERENCED: Final = tag_of("ReferencedSOPSequence")
_INSTANCE: Final = tag_of("ReferencedSOPInstanceUID")
_TRANSACTION: Final = tag_of("TransactionUID")
_PROGRESS: Final = tag_of("ProcedureStepProgressInformationSequence")
_REQUESTING_AE: Final = tag_of("RequestingAE")
_REASON: Final = tag_of("ReasonForCancellation")
_REASON_CODE: Final = tag_of("ProcedureStepDiscontinuationReasonCodeSequence")
_OVERLAP: Final = 60.0
"""Seconds by which the times of changes may be behind those at which they are seen."""
_PRIORITIES: Final = {"HIGH": 1, "LOW": -1}
_MOST: Final = 10_000
_KEPT: Final = frozenset({ResultState.ARCHIVED, ResultState.RELEASED})


class StepPerformer(Service):
    """Claims the steps that rules want, has services asked, and ends them.

    Parameters
    ----------
    node : Node
    """

    def __init__(self, node: Node) -> None:
        self._node = node

    async def start(self) -> None:
        """Find what it works with."""
        from pacs_ai.inferences import find_inferences

        self._inferences = find_inferences(self._node)
        self._desk = self._node.find(AiDesk)
        self._steps = self._node.find(UnifiedProcedureSteps)
        self._conditions: Mapping[int, tuple[Condition, ...]] = {
            number: step_conditions(rule) for number, rule in self._desk.rules("ups")
        }

    async def run(self, started: Started) -> None:
        """Look for steps again and again."""
        started()
        since: float | None = None
        while True:
            now = time.time()
            for uid in await self._find_new(since):
                await self._desk.records.hold_step(uid, f"2.25.{uuid4().int}")
            since = now - _OVERLAP
            for held in await self._desk.records.held_steps():
                try:
                    await self._go_on(held)
                except Exception as error:
                    logger.warning("work item %s is tried again: %s", held.step_uid, error)
            await anyio.sleep(self._desk.config.poll_steps)

    async def _find_new(self, since: float | None) -> list[str]:
        found: dict[str, None] = {}
        for conditions in self._conditions.values():
            states = (StepState.SCHEDULED,)
            search = self._steps.search(conditions, states=states, changed_since=since)
            async with closing(search) as steps:
                async for step in steps:
                    if first(step.attributes, tag_of("InputReadinessState")) == "READY":
                        found[step.instance_uid] = None
        return list(found)

    async def _go_on(self, held: HeldStep) -> None:
        """Do what is next to do about a step."""
        records, uid = self._desk.records, held.step_uid
        try:
            step = await self._steps.find(uid)
        except KeyError:
            await records.leave_step(uid)
            return
        if step.state is StepState.SCHEDULED:
            step = await self._claim(step, held)
        if step.state is not StepState.IN_PROGRESS or step.transaction_uid != held.transaction_uid:
            await records.leave_step(uid)
            return
        numbers: Sequence[int] = held.requests
        if step.cancel_request is not None and await self._stop(numbers, step.cancel_request):
            wanted = step.cancel_request
            reason = first(wanted, _REASON) or f"{_asker(wanted)} wants it canceled"
            await self._cancel(step, reason, wanted.get(_REASON_CODE, ()))
            return
        if not numbers:
            try:
                numbers = await self._ask(step)
            except LookupError as error:
                await self._cancel(step, str(error))
                return
            await records.note_requests(uid, numbers)
        await self._look(step, [await records.find(number) for number in numbers])

    async def _claim(self, step: ProcedureStep, held: HeldStep) -> ProcedureStep:
        title = self._node.settings.ae_title
        try:
            changed = await self._steps.change_state(
                step.instance_uid,
                StepState.IN_PROGRESS,
                held.transaction_uid,
                requestor=title,
                is_watched=True,
            )
        except RefusedRequestError as error:
            logger.info("work item %s is somebody else's: %s", step.instance_uid, error)
            return await self._steps.find(step.instance_uid)
        await self._record(step, "claimed", "")
        return changed.step

    async def _ask(self, step: ProcedureStep) -> list[int]:
        """Make the requests of a step, or find those that were made before."""
        answered = step.answered()
        rules = (
            number
            for number, conditions in self._conditions.items()
            if all(matches(each, answered) for each in conditions)
        )
        number = next(rules, None)
        if number is None:
            raise LookupError("no rule is about it any more")
        rule = self._desk.config.rules[number]
        urgency = first(step.attributes, tag_of("ScheduledProcedureStepPriority"))
        requests: dict[int, InferenceRequest] = {}
        for study, named in inputs_of(step).items():
            made = await self._inferences.follow_rule(
                number,
                study,
                asked_by=f"work item {step.instance_uid}",
                priority=rule.priority + _PRIORITIES.get(urgency, 0),
                named=named,
                renew=True,
            )
            requests |= {request.number: request for request, _ in made}
        if not requests:
            studies = ", ".join(inputs_of(step)) or "no study"
            raise LookupError(f"{studies} has nothing that {rule.service} could be asked about")
        return list(requests)

    async def _stop(self, numbers: Sequence[int], wanted: Attributes) -> bool:
        """Cancel the requests of a step that somebody wants canceled; False if all have ended."""
        live = [n for n in numbers if (await self._desk.records.find(n)).state in LIVE]
        for number in live:
            with suppress(ValueError):  # it has ended a moment ago
                await self._inferences.cancel(number, _asker(wanted))
        return bool(live) or not numbers

    async def _look(self, step: ProcedureStep, requests: Sequence[InferenceRequest]) -> None:
        """End a step whose requests have ended, or say how far it is."""
        ended = [each for each in requests if each.state not in LIVE]
        if len(ended) < len(requests):
            await self._report(step, 100 * len(ended) // len(requests), requests)
            return
        failed = [each for each in requests if each.state is not RequestState.ANSWERED]
        if failed:
            reason = "; ".join(f"request {e.number}: {e.reason or e.state}" for e in failed)
            await self._cancel(step, reason)
            return
        results = [result for each in requests for result in await self._results(each)]
        latest = max((each.arrived for each in results), default=0.0)
        if time.time() - latest < self._desk.config.poll_steps:
            return  # results that come one by one: more may come
        kept = [each for each in results if each.state in _KEPT]
        if results and not kept:
            reasons = "; ".join(f"result {e.number} is {e.state}" for e in results)
            await self._cancel(step, reasons)
            return
        await self._complete(step, kept, requests)

    async def _results(self, request: InferenceRequest) -> list[InferenceResult]:
        wanted = RequestFilter(request=request.number)
        async with closing(self._desk.records.results(wanted, _MOST)) as found:
            return [each async for each in found]

    async def _report(
        self, step: ProcedureStep, percent: int, requests: Sequence[InferenceRequest]
    ) -> None:
        """Say how far it is, if that is news (PS3.3 C.30.3)."""
        told = ", ".join(f"request {e.number} of {e.service}: {e.state}" for e in requests)
        item: Attributes = {
            tag_of("ProcedureStepProgress"): (str(percent),),
            tag_of("ProcedureStepProgressDescription"): (told[:64],),
        }
        if next(iter(items(step.attributes, _PROGRESS)), {}) != item:
            await self._set(step, {_PROGRESS: (item,)})

    async def _complete(
        self,
        step: ProcedureStep,
        results: Sequence[InferenceResult],
        requests: Sequence[InferenceRequest],
    ) -> None:
        attributes, now = step.attributes, datetime.now()
        began = datetime.fromtimestamp(min(each.created for each in requests))
        here = code_item("PACS", "99PACS", "this archive")
        output = [
            Reference(e.study_uid, e.series_uid, e.sop_class_uid, e.instance_uid) for e in results
        ]
        performed: dict[str, tuple[Value, ...]] = {
            "PerformedStationNameCodeSequence": attributes.get(
                tag_of("ScheduledStationNameCodeSequence"), ()
            )
            or (here,),
            "PerformedStationClassCodeSequence": (),
            "PerformedStationGeographicLocationCodeSequence": (),
            "PerformedProcedureStepStartDateTime": (min(began, now).strftime("%Y%m%d%H%M%S"),),
            "PerformedProcedureStepEndDateTime": (now.strftime("%Y%m%d%H%M%S"),),
            "PerformedWorkitemCodeSequence": attributes.get(
                tag_of("ScheduledWorkitemCodeSequence"), ()
            )
            or (here,),
            "OutputInformationSequence": tuple(reference_items(self._node, output)),
        }
        item = {tag_of(keyword): values for keyword, values in performed.items()}
        await self._set(step, {tag_of("UnifiedProcedureStepPerformedProcedureSequence"): (item,)})
        await self._end(step, StepState.COMPLETED, f"{len(results)} results")

    async def _cancel(self, step: ProcedureStep, reason: str, code: tuple[Value, ...] = ()) -> None:
        """Cancel a step, and say why (PS3.3 C.30.3)."""
        item = {**next(iter(items(step.attributes, _PROGRESS)), {}), _REASON: (reason[:1024],)}
        if code:
            item[_REASON_CODE] = code
        await self._set(step, {_PROGRESS: (item,)})
        await self._end(step, StepState.CANCELED, reason)

    async def _set(self, step: ProcedureStep, own: MutableAttributes) -> None:
        own[_TRANSACTION] = (step.transaction_uid,)
        title = self._node.settings.ae_title
        await self._steps.change(step.instance_uid, own, requestor=title)

    async def _end(self, step: ProcedureStep, state: StepState, note: str) -> None:
        title, uid = self._node.settings.ae_title, step.instance_uid
        await self._steps.change_state(uid, state, step.transaction_uid, requestor=title)
        await self._record(step, str(state).lower(), note)
        await self._desk.records.leave_step(uid)

    async def _record(self, step: ProcedureStep, act: str, note: str) -> None:
        canceled = act == StepState.CANCELED.lower()
        await self._desk.record(
            PERFORMED,
            None,
            {"do": act, "work_item": step.instance_uid, "note": note},
            outcome=Outcome.FAILURE if canceled else Outcome.SUCCESS,
            study_uid=next(iter(inputs_of(step)), ""),
        )


def _asker(wanted: Attributes) -> str:
    """Return who wants a step canceled; over HTTP nobody need say so."""
    return first(wanted, _REQUESTING_AE) or "somebody"


class NamedInputs:
    """What of a study a step names: whole series, instances, or all.

    Parameters
    ----------
    named : sequence of Attributes
        Items of Input Information Sequence (PS3.3 Table 10-3b); of none all is meant.
    """

    def __init__(self, named: Sequence[Attributes] = ()) -> None:
        self._named = [
            (first(each, _SERIES), {first(i, _INSTANCE) for i in items(each, _REFERENCED)})
            for each in named
        ]

    def has(self, each: InferenceInput) -> bool:
        """Tell whether it names an instance."""
        return not self._named or any(
            series in {"", each.series_uid} and (not uids or each.instance_uid in uids)
            for series, uids in self._named
        )


def inputs_of(step: ProcedureStep) -> dict[str, NamedInputs]:
    """Return what a step is about, by study."""
    named: dict[str, list[Attributes]] = {}
    for item in items(step.attributes, _INPUTS):
        if study := first(item, _STUDY):
            named.setdefault(study, []).append(item)
    if named:
        return {study: NamedInputs(given) for study, given in named.items()}
    return {study: NamedInputs() for study in step.studies}


def step_conditions(rule: RuleConfig) -> tuple[Condition, ...]:
    """Return the conditions of a rule on procedure steps. ValueError where one is none."""
    return tuple(_conditions(rule))


def _conditions(rule: RuleConfig) -> Iterator[Condition]:
    for key, value in rule.step.items():
        yield from read_test(key, value).conditions
