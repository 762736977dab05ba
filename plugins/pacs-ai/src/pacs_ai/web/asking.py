"""Acts on requests and results that API and pages share: who may, and what is recorded.

Who may look is asked for ``ai.inspect``, who has services asked, results released and requests
cancelled for ``ai.steer``, and who assesses for ``ai.assess``.
"""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Final, TypeVar

from attrs import field, frozen
from pacs_web.api import WebContext
from pacs_web.api.http import HttpError
from starlette.requests import Request

from pacs_ai.access import ASSESS
from pacs_ai.desk import STEERED, VIEWED, AiDesk
from pacs_ai.interface import Inferences
from pacs_ai.models import (
    Assessment,
    InferenceRequest,
    InferenceResult,
    RequestFilter,
    ResultFinding,
    ServiceTotal,
)
from pacs_core.api.streams import closing
from pacs_core.contracts import AuditValue, EventAction
from pacs_core.dimse import is_valid_uid

INSPECT: Final = "ai.inspect"
STEER: Final = "ai.steer"
"""Actions that authorizers are asked for."""

MOST: Final = 1000
"""Requests or results on a page."""
FILTERS: Final = ("service", "study", "request", "state", "before")
"""Parameters by which is said which requests or results are wanted."""

_MOST_URGENT: Final = 1_000_000
_LONGEST: Final = 10_000
"""Characters of a comment."""

T = TypeVar("T")


@frozen
class AskedInferences:
    """Requests and results for whoever asks over HTTP.

    Attributes
    ----------
    context : WebContext
    """

    context: WebContext
    _inferences: Inferences = field(init=False)
    _desk: AiDesk = field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_inferences", self.context.node.find(Inferences))
        object.__setattr__(self, "_desk", self.context.node.find(AiDesk))

    async def requests(
        self, request: Request, wanted: RequestFilter, limit: int
    ) -> list[InferenceRequest]:
        """Return requests, the latest first."""
        await self.context.require(request, INSPECT)
        async with closing(self._inferences.requests(wanted, limit)) as found:
            return [each async for each in found]

    async def results(
        self, request: Request, wanted: RequestFilter, limit: int
    ) -> list[InferenceResult]:
        """Return results, the latest first."""
        await self.context.require(request, INSPECT)
        async with closing(self._inferences.results(wanted, limit)) as found:
            return [each async for each in found]

    async def find(self, request: Request) -> tuple[InferenceRequest, list[InferenceResult]]:
        """Return the request of a path, and its results."""
        number = request.path_params["number"]
        await self.context.require(request, INSPECT)
        found = await _known(self._inferences.find(number))
        return found, await self.results(request, RequestFilter(request=number), MOST)

    async def find_result(self, request: Request) -> InferenceResult:
        """Return the result of a path."""
        await self.context.require(request, INSPECT)
        return await _known(self._inferences.find_result(request.path_params["number"]))

    async def findings(self, request: Request) -> Sequence[ResultFinding]:
        """Return the findings of the result of a path."""
        await self.context.require(request, INSPECT)
        return await _known(self._inferences.findings(request.path_params["number"]))

    async def totals(self, request: Request) -> Sequence[ServiceTotal]:
        """Count requests, results and assessments by service and version."""
        await self.context.require(request, INSPECT)
        return await self._inferences.totals()

    async def record_view(self, request: Request, /, **details: AuditValue) -> None:
        """Record that whoever asks sees requests or results."""
        origin = self.context.origin_of(request)
        await self._desk.record(VIEWED, None, details, origin=origin, action=EventAction.READ)

    async def ask(
        self,
        request: Request,
        service: str,
        study: str,
        *,
        series: Sequence[str] = (),
        priority: int = 0,
        again: bool = False,
    ) -> Sequence[InferenceRequest]:
        """Have a service asked about a study."""
        if not all(map(is_valid_uid, (study, *series))):
            raise HttpError(400, "study and series: UIDs")
        if abs(priority) > _MOST_URGENT:
            raise HttpError(400, f"priority: a number from {-_MOST_URGENT} to {_MOST_URGENT}")
        await self._steer(request, do="ask", service=service, study=study)
        try:
            return await self._inferences.ask(
                service,
                study,
                series_uids=series,
                priority=priority,
                asked_by=self._name(request),
                again=again,
            )
        except LookupError as error:
            raise HttpError(404, str(error)) from error

    async def cancel(self, request: Request) -> InferenceRequest:
        """Cancel the request of a path."""
        number = request.path_params["number"]
        await self._steer(request, do="cancel", request=number)
        return await _known(self._inferences.cancel(number, self._name(request)))

    async def settle(self, request: Request, act: str) -> InferenceResult:
        """Release or discard the result of a path, which is in quarantine."""
        await self.context.require(request, STEER)
        acts = {"release": self._inferences.release, "discard": self._inferences.discard}
        origin = self.context.origin_of(request)
        return await _known(acts[act](request.path_params["number"], origin))

    async def assess(
        self, request: Request, assessment: str, comment: str, finding: str = ""
    ) -> InferenceResult:
        """Accept, modify or reject the result of a path, or one of its findings."""
        await self.context.require(request, ASSESS)
        known = [str(each) for each in Assessment if each]
        if assessment not in known:
            raise HttpError(400, f"assessment is one of {', '.join(known)}")
        if len(comment) > _LONGEST or not _is_text(comment):
            text = f"comment: at most {_LONGEST} characters of text, without control characters"
            raise HttpError(400, text)
        number, origin = request.path_params["number"], self.context.origin_of(request)
        acts = self._inferences.assess(
            number, Assessment(assessment), origin, comment=comment, finding=finding
        )
        return await _known(acts)

    async def _steer(self, request: Request, /, **details: AuditValue) -> None:
        await self.context.require(request, STEER)
        origin = self.context.origin_of(request)
        await self._desk.record(STEERED, None, details, origin=origin)

    def _name(self, request: Request) -> str:
        origin = self.context.origin_of(request)
        return origin.user or origin.host


def read_filter(given: Mapping[str, str]) -> RequestFilter:
    """Return which requests or results parameters mean. HttpError 400 if they mean none."""
    service, study, number, state, before = (given.get(name, "").strip() for name in FILTERS)
    if not all(each.isascii() and (each or "0").isdecimal() for each in (number, before)):
        raise HttpError(400, "request and before are numbers")
    if max(len(number), len(before)) > 18:  # no database has such a one
        raise HttpError(400, "request and before are numbers of at most 18 digits")
    if not all(map(_is_text, (service, study, state))):  # which not every database takes
        raise HttpError(400, "service, study and state are text without control characters")
    states = tuple(filter(None, state.split(",")))
    return RequestFilter(service, study, int(number or 0), states, int(before or 0))


def _is_text(given: str) -> bool:
    """Tell whether every database, and a text of DICOM, can have these characters."""
    return all(each.isprintable() or each in "\t\r\n" for each in given)


async def _known(found: Awaitable[T]) -> T:
    try:
        return await found
    except KeyError:
        raise HttpError(404, "there is none with this number") from None
    except LookupError as error:
        raise HttpError(404, str(error)) from error
    except ValueError as error:
        raise HttpError(409, str(error)) from error
