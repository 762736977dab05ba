"""Jobs that ask services, each about one request, and judge what became of that.

Theory of operation
-------------------
A service that cannot be reached costs nobody an attempt: its requests are tried again, ever more
rarely, until they are given up after days. Whatever else goes wrong with a request, a time-out
among it, is counted against that request, which is given up after a few, and against the service:
after some in a row its circuit breaker opens, and its jobs return without having asked. When the
pause is over one of them may try; if that goes well, the others follow.

A request is about instances as they were when it was made. If one of them is gone meanwhile, or is
another, there is nothing to ask about; a new request is made of what is there.
"""

import json
import time
from collections.abc import AsyncIterable, Mapping, Sequence
from typing import Final

import anyio
from attrs import define, field
from pacs_jobs.api import JobFailedError, JobHandler, Progress, RunningJob

from pacs_ai.config import ServiceConfig
from pacs_ai.desk import ASKED, GIVEN_UP, AiDesk
from pacs_ai.intake import Intake
from pacs_ai.interface import (
    Answer,
    InferenceAdapter,
    InferenceAdapterDescriptor,
    ResultTaker,
    ServiceAwayError,
    ServiceRefusedError,
)
from pacs_ai.metering import count_failure
from pacs_ai.models import InferenceRequest, InferenceResult, RequestFilter, RequestState
from pacs_ai.sources import RequestInputs, locate_inputs
from pacs_core.api.streams import closing
from pacs_core.contracts import InstanceNotFoundError, Node, Outcome

_DAY: Final = 24 * 3600.0
_MOST_DOUBLED: Final = 60


class Adapters:
    """The adapters of the services of a node.

    Parameters
    ----------
    desk : AiDesk
    """

    def __init__(self, desk: AiDesk) -> None:
        self._desk = desk
        self._adapters: dict[str, InferenceAdapter] = {}

    async def start(self) -> None:
        """Make and start one for each service."""
        known: dict[str, InferenceAdapterDescriptor] = {}
        node = self._desk.node
        for contribution in node.hooks.call("pacs_inference_adapters"):
            for descriptor in _descriptors(contribution.result):
                if descriptor.name in known:
                    problem = f"there is an adapter {descriptor.name!r} already"
                    node.hooks.refuse(contribution, f"pacs_inference_adapters: {problem}")
                    break
                known[descriptor.name] = descriptor
        for name, service in self._desk.config.services.items():
            if service.adapter not in known:
                names = ", ".join(sorted(known))
                raise ValueError(f"services.{name}.adapter: {service.adapter!r} is none of {names}")
            adapter = known[service.adapter].create(node, name, service)
            await adapter.start()
            self._adapters[name] = adapter

    async def stop(self) -> None:
        """Stop them."""
        for adapter in self._adapters.values():
            await adapter.stop()

    def find(self, service: str) -> InferenceAdapter:
        """Return that of a service. LookupError."""
        self._desk.service(service)
        return self._adapters[service]


@define
class _Taker(ResultTaker):
    """Takes what a service answers at once."""

    intake: Intake
    request: InferenceRequest

    async def take(self, content: AsyncIterable[bytes]) -> InferenceResult:
        """See base."""
        return await self.intake.take_file(self.request.service, content, self.request)


@define(eq=False)
class AskHandler(JobHandler):
    """Asks a service about a request.

    Parameters
    ----------
    node : Node
    """

    node: Node
    _desk: AiDesk = field(init=False)
    _intake: Intake = field(init=False)
    _adapters: Adapters = field(init=False)

    async def start(self) -> None:
        """Find what it works with."""
        self._desk = self.node.find(AiDesk)
        self._intake = Intake(self._desk)
        self._adapters = Adapters(self._desk)
        await self._adapters.start()

    async def stop(self) -> None:
        """Stop the adapters."""
        await self._adapters.stop()

    async def run(self, job: RunningJob) -> None:
        """See base."""
        records, breakers = self._desk.records, self._desk.breakers
        try:
            request = await records.find(int(job.arguments["request"]))
        except KeyError:
            raise JobFailedError("the request is not known any more") from None
        if request.state is not RequestState.WAITING:
            return
        try:
            service = self._desk.service(request.service)
        except LookupError as error:
            await self._give_up(request, str(error))
            return
        config = self._desk.config
        # In days there are thousands of attempts, and two to the power of them is no float.
        pause = min(
            config.first_pause * 2.0 ** min(job.attempt, _MOST_DOUBLED), config.longest_pause
        )
        closed_until, why = await breakers.open_until(request.service, pause + service.timeout)
        if closed_until:
            if await self._is_too_old(request, why):
                return
            raise ServiceAwayError(f"{request.service} is left alone for a while: {why}")
        await job.report(Progress(0, len(request.inputs), f"asking {request.service}"))
        await self._ask(request, service, pause)

    async def _ask(self, request: InferenceRequest, service: ServiceConfig, pause: float) -> None:
        records, breakers = self._desk.records, self._desk.breakers
        try:
            with anyio.fail_after(service.timeout):
                answer = await self._put(request, service)
        except InstanceNotFoundError as error:
            await self._give_up(request, str(error))
            return
        except ServiceRefusedError as error:
            count_failure(self.node.meter, request, "refused")
            await breakers.note_success(request.service)
            await self._give_up(request, str(error))
            return
        except ServiceAwayError as error:
            count_failure(self.node.meter, request, "away")
            await breakers.note_failure(request.service, str(error), service.breaker, pause)
            await records.change(request.number, reason=str(error))
            if not await self._is_too_old(request, str(error)):
                raise
            return
        except Exception as error:
            reason = str(error) or type(error).__name__
            if isinstance(error, TimeoutError):
                if await self._has_begun_to_answer(request):
                    await breakers.note_success(request.service)
                    await self._desk.note_answered(request)
                    return
                reason = f"no answer in {service.timeout:g} s"
            count_failure(self.node.meter, request, "failed")
            await breakers.note_failure(request.service, reason, service.breaker, pause)
            attempts = request.attempts + 1
            await records.change(request.number, attempts=attempts, reason=reason)
            if attempts >= service.attempts:
                await self._give_up(request, reason)
                return
            raise
        await breakers.note_success(request.service)
        await self._note(request, answer)

    async def _put(self, request: InferenceRequest, service: ServiceConfig) -> Answer:
        adapter = self._adapters.find(request.service)
        instances = await locate_inputs(self.node, request)
        await self._desk.record(ASKED, request, {"instances": len(instances)})
        await self._desk.records.change(request.number, asked=time.time())
        inputs = RequestInputs(self.node, instances, service.deidentify)
        if service.deidentify:
            # Before anything goes out: results are found, and mapped back, by these.
            await keep_names(self._desk, request, await inputs.names())
        return await adapter.ask(request, inputs, _Taker(self._intake, request))

    async def _has_begun_to_answer(self, request: InferenceRequest) -> bool:
        """Tell whether a service that does not end with a request has stored results of it.

        It may store more: asked again, it would store them all again, under other UIDs.
        """
        adapter = self._adapters.find(request.service)
        return adapter.has_other_doors and await self._has_results(request)

    async def _has_results(self, request: InferenceRequest) -> bool:
        wanted = RequestFilter(request=request.number)
        async with closing(self._desk.records.results(wanted, 1)) as found:
            return bool([each async for each in found])

    async def _note(self, request: InferenceRequest, answer: Answer) -> None:
        if answer is Answer.COMPLETE or await self._has_results(request):
            await self._desk.note_answered(request)
        else:
            await self._desk.records.change(
                request.number, {RequestState.WAITING}, state=str(RequestState.ASKED), reason=""
            )

    async def _is_too_old(self, request: InferenceRequest, reason: str) -> bool:
        if time.time() - request.created < self._desk.config.give_up_after * _DAY:
            return False
        await self._give_up(request, reason)
        return True

    async def _give_up(self, request: InferenceRequest, reason: str) -> None:
        await give_up(self._desk, request, reason)


def _descriptors(result: object) -> Sequence[InferenceAdapterDescriptor]:
    if isinstance(result, Sequence):
        return [each for each in result if isinstance(each, InferenceAdapterDescriptor)]
    return ()


async def give_up(desk: AiDesk, request: InferenceRequest, reason: str) -> None:
    """Note, and record, that a request is not tried any more."""
    if await desk.records.change(request.number, state=str(RequestState.FAILED), reason=reason):
        await desk.record(GIVEN_UP, request, {"reason": reason}, outcome=Outcome.FAILURE)


async def keep_names(desk: AiDesk, request: InferenceRequest, names: Mapping[str, str]) -> None:
    """Write down what is called what in a request that is de-identified, before it goes out."""
    await desk.records.change(request.number, names=json.dumps(dict(names)))
