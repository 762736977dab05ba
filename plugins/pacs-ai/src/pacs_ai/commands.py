"""``pacs ai``."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

import anyio
from cyclopts import Parameter

from pacs_ai.description import describe_request, describe_result, describe_total
from pacs_ai.desk import STEERED, AiDesk
from pacs_ai.interface import Inferences
from pacs_ai.models import (
    Assessment,
    InferenceRequest,
    InferenceResult,
    RequestFilter,
    RequestState,
    ResultState,
)
from pacs_core.api.commands import (
    CommandError,
    ConfigOption,
    JsonOption,
    UsageError,
    assemble_for_command,
    local_origin,
    open_archive,
    print_table,
)
from pacs_core.contracts import AuditValue, Node
from pacs_core.dimse import is_valid_uid

T = TypeVar("T")


def list_requests(
    *,
    state: RequestState | ResultState | None = None,
    results: bool = False,
    totals: bool = False,
    service: str = "",
    study: str = "",
    limit: int = 50,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List requests to services, or their results; the latest first.

    Parameters
    ----------
    state
        Only those of which this is so; `quarantined`, `released` and `discarded` are of results.
    results
        Results instead of requests.
    totals
        Numbers of requests, results and assessments by service and version.
    service
        Only those of a service.
    study
        Only those of a study.
    limit
        How many at most.
    """
    wants_results = results or isinstance(state, ResultState)
    states = (str(state),) if state else ()
    wanted = RequestFilter(service, study, states=states)

    async def run() -> tuple[list[dict[str, object]], str]:
        async with _open(config) as node:
            found = node.find(Inferences)
            breakers = await node.find(AiDesk).breakers.opened()
            closed = "; ".join(f"{s}: {reason}" for s, (_, reason) in breakers.items())
            if totals:
                return [describe_total(each) for each in await found.totals()], closed
            if wants_results:
                return [describe_result(e) async for e in found.results(wanted, limit)], closed
            rows = [describe_request(e, inputs=False) async for e in found.requests(wanted, limit)]
            return rows, closed

    rows, closed = anyio.run(run)
    if json_output:
        for row in rows:
            print(json.dumps(row))
        return
    if totals:
        _print(_TOTAL_COLUMNS, rows)
    elif wants_results:
        _print(_RESULT_COLUMNS, rows)
    else:
        _print(_REQUEST_COLUMNS, rows)
    if closed:
        print(f"left alone for a while: {closed}")


_TOTAL_COLUMNS: Final = (
    "service", "version", "requests", "results", "assessments", "findings", "mean_seconds",
)  # fmt: skip
_REQUEST_COLUMNS: Final = (
    "number", "service", "version", "state", "instances", "created", "study", "reason",
)  # fmt: skip
_RESULT_COLUMNS: Final = (
    "number", "request", "service", "state", "assessment", "arrived", "instance", "reasons",
)  # fmt: skip


def show(what: str, /, *, json_output: JsonOption = False, config: ConfigOption = None) -> int:
    """Show what became of a request, or where a result came from.

    Parameters
    ----------
    what
        Number of a request, or SOP Instance UID of a result, or the UID of a study.
    """
    if not (what.isdecimal() or is_valid_uid(what)):
        raise UsageError(f"{what!r} is neither a number nor a UID")

    async def run() -> list[tuple[InferenceRequest | None, list[InferenceResult]]]:
        async with _open(config) as node:
            found = node.find(Inferences)
            if what.isdecimal() and "." not in what:
                request = await _known(found.find(int(what)), f"request {what}")
                results = found.results(RequestFilter(request=request.number), 1000)
                return [(request, [each async for each in results])]
            pairs: list[tuple[InferenceRequest | None, list[InferenceResult]]] = []
            async for request in found.requests(RequestFilter(study_uid=what), 100):
                results = found.results(RequestFilter(request=request.number), 1000)
                pairs.append((request, [each async for each in results]))
            if not pairs and (result := await _find_result(node, what)) is not None:
                request_of = await found.find(result.request) if result.request else None
                pairs.append((request_of, [result]))
            return pairs

    pairs = anyio.run(run)
    if not pairs:
        raise CommandError(f"nothing is known of {what}")
    for request, results in pairs:
        described = [describe_result(each) for each in results]
        if json_output:
            whole = describe_request(request) if request else {}
            print(json.dumps({**whole, "results": described}))
            continue
        if request is not None:
            _print_members(describe_request(request, inputs=False))
        for each in described:
            print()
            _print_members(each)
    return 0


def ask(
    service: str,
    study: str,
    /,
    *,
    series: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    priority: int = 0,
    again: bool = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Have a service asked about a study; the node does it.

    Parameters
    ----------
    service
        Name of its table.
    study
        Study Instance UID.
    series
        Only about these series; by default about what the rules of the service select.
    priority
        What has a greater one goes first.
    again
        Also if this version was asked about the same instances before.
    """
    if not is_valid_uid(study):
        raise UsageError(f"{study!r} is no UID")

    async def run() -> list[InferenceRequest]:
        async with _open(config) as node:
            origin = local_origin("ai ask")
            try:
                requests = await node.find(Inferences).ask(
                    service,
                    study,
                    series_uids=series,
                    priority=priority,
                    asked_by=origin.user or origin.interface,
                    again=again,
                )
            except LookupError as error:
                raise CommandError(str(error)) from error
            await _record(node, "ask", {"service": service, "requests": len(requests)}, study)
            return list(requests)

    for request in anyio.run(run):
        if json_output:
            print(json.dumps(describe_request(request, inputs=False)))
        else:
            what = f"request {request.number}: {request.service} {request.version}".rstrip()
            print(f"{what}, {len(request.inputs)} instances, {request.state}")


def cancel(number: int, /, *, config: ConfigOption = None) -> None:
    """Cancel a request that has not been answered.

    Parameters
    ----------
    number
        Of the request.
    """

    async def run() -> InferenceRequest:
        async with _open(config) as node:
            origin = local_origin("ai cancel")
            by = origin.user or origin.interface
            found = await _known(node.find(Inferences).cancel(number, by), f"request {number}")
            await _record(node, "cancel", {"request": number}, found.study_uid)
            return found

    print(f"request {anyio.run(run).number} is cancelled")


def release(number: int, /, *, config: ConfigOption = None) -> None:
    """Archive a result that is in quarantine, although it was not found good.

    Parameters
    ----------
    number
        Of the result.
    """
    print(f"result {number} is archived: {_settle('release', number, config).instance_uid}")


def discard(number: int, /, *, config: ConfigOption = None) -> None:
    """Delete a result that is in quarantine.

    Parameters
    ----------
    number
        Of the result.
    """
    print(f"result {_settle('discard', number, config).number} is deleted")


def _settle(
    act: Literal["release", "discard"], number: int, config: Path | None
) -> InferenceResult:
    async def run() -> InferenceResult:
        async with _open(config) as node:
            inferences, origin = node.find(Inferences), local_origin(f"ai {act}")
            acts = {"release": inferences.release, "discard": inferences.discard}
            return await _known(acts[act](number, origin), f"result {number}")

    return anyio.run(run)


def assess(
    number: int,
    assessment: Literal["accepted", "modified", "rejected"],
    /,
    *,
    comment: str = "",
    finding: str = "",
    config: ConfigOption = None,
) -> None:
    """Say what is to be thought of a result, or a finding, as a document archived beside it.

    Parameters
    ----------
    number
        Of the result.
    assessment
        What is to be thought of it.
    comment
        Why.
    finding
        Only of this finding: its Tracking UID, Observation UID, or number of a segment.
    """

    async def run() -> InferenceResult:
        async with _open(config) as node:
            acts = node.find(Inferences).assess(
                number,
                Assessment(assessment),
                local_origin("ai assess"),
                comment=comment,
                finding=finding,
            )
            return await _known(acts, f"result {number}")

    what = f"finding {finding} of result {number}" if finding else f"result {number}"
    print(f"{what} is {assessment}: {anyio.run(run).assessment_uid}")


BY_VERB: Final[dict[str, Callable[..., int | None]]] = {
    "list": list_requests,
    "show": show,
    "ask": ask,
    "cancel": cancel,
    "release": release,
    "assess": assess,
    "discard": discard,
}


@asynccontextmanager
async def _open(config: Path | None) -> AsyncIterator[Node]:
    needed = (AiDesk, Inferences)
    async with open_archive(assemble_for_command(config), requires=needed) as opened:
        yield opened.node


async def _known(found: Awaitable[T], what: str) -> T:
    try:
        return await found
    except KeyError:
        raise CommandError(f"there is no {what}") from None
    except (LookupError, ValueError) as error:
        raise CommandError(str(error)) from error


async def _find_result(node: Node, uid: str) -> InferenceResult | None:
    async for result in node.find(Inferences).results(RequestFilter(), 100_000):
        if uid in {result.instance_uid, result.assessment_uid}:
            return result
    return None


async def _record(node: Node, act: str, details: Mapping[str, AuditValue], study_uid: str) -> None:
    origin = local_origin(f"ai {act}")
    given = {"do": act, **details}
    await node.find(AiDesk).record(STEERED, None, given, origin=origin, study_uid=study_uid)


def _print(columns: Iterable[str], rows: Iterable[Mapping[str, object]]) -> None:
    names = tuple(columns)
    print_table(
        tuple(name.upper().replace("_", " ") for name in names),
        [tuple(_shown(row[name]) for name in names) for row in rows],
    )


def _print_members(members: Mapping[str, object]) -> None:
    for name, value in members.items():
        if shown := _shown(value):
            print(f"{name:<20}{shown}")


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{count} {name}" for name, count in value.items())
    if isinstance(value, list):
        return "; ".join(map(str, value))
    return str(value)
