"""The Search transaction, QIDO-RS (PS3.18 §10.6)."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from attrs import evolve
from pacs_web.api.datasets import JSON, PLAIN_JSON, XML_PARTS, datasets_response, warning_header
from pacs_web.api.http import HttpError
from pacs_web.api.media_types import Representation
from starlette.requests import Request
from starlette.responses import Response

from pacs_core.api.streams import closing
from pacs_core.contracts import Archive, InstancePath, Level, Outcome
from pacs_core.dataset import Attributes, MutableAttributes, keyword_of, texts
from pacs_dicomweb.results import complete_result, find_availabilities
from pacs_dicomweb.search import (
    TRANSFER_SYNTAXES,
    UIDS,
    Search,
    SearchResource,
    count_all,
    plan_search,
)
from pacs_dicomweb.search_parameters import InvalidParameterError, SearchParameters, read_search
from pacs_dicomweb.service import (
    SEARCHED,
    DicomWeb,
    accept,
    parameters_of,
    resource_of,
)

OFFERED: Final = (JSON, XML_PARTS, PLAIN_JSON)
TOTAL: Final = "X-Total-Count"
_FUZZY: Final = (
    "The fuzzymatching parameter is not supported. Only literal matching has been performed."
)

Handler = Callable[[Request], Awaitable[Response]]


def search_handler(service: DicomWeb, level: Level) -> Handler:
    """Return what answers searches for entities of a level."""

    async def search(request: Request) -> Response:
        parameters = parameters_of(request)
        choice = accept(request, parameters, OFFERED)[0]
        archive, resource = service.archive(request), resource_of(request)
        try:
            wanted = _heed(read_search(parameters), service.config.fuzzy_names)
            where = SearchResource(level, resource.study, resource.series)
            planned = plan_search(archive, where, wanted, service.config.max_results)
        except InvalidParameterError as error:
            raise HttpError(400, str(error)) from error
        url = service.url(request)
        found, total = await _search(archive, planned)
        warnings = list(planned.warnings)
        remaining = total - planned.query.offset - len(found)
        if remaining > 0 and found:
            warnings.append(f"There are {remaining} additional results that can be requested")
        if gap := await archive.gap():
            warnings.append(f"There may be more: {gap}")
        keys = [keyword_of(tag) for tag in sorted(wanted.keys)]
        details = {"level": level.value, "keys": keys, "matches": len(found)}
        await service.record(request, SEARCHED, Outcome.SUCCESS, details)
        headers = {TOTAL: str(total), **warning_header(url, warnings)}
        available = await find_availabilities(archive, found, level)
        results = [
            complete_result(match, planned.empty, url, availability)
            for match, availability in zip(found, available, strict=True)
        ]
        if level is Level.IMAGE and TRANSFER_SYNTAXES in wanted.included:
            await _add_transfer_syntaxes(archive, results)
        return _response(service, choice.representation, results, headers)

    return search


async def _add_transfer_syntaxes(archive: Archive, results: list[MutableAttributes]) -> None:
    """Say in which transfer syntax instances can be had without conversion."""
    for each in results:
        study, instance = (texts(each, UIDS[of])[0] for of in (Level.STUDY, Level.IMAGE))
        if (stored := await archive.locate(InstancePath(study, instance))) is not None:
            each[TRANSFER_SYNTAXES] = (stored.transfer_syntax_uid,)


def _heed(wanted: SearchParameters, fuzzy_names: bool) -> SearchParameters:
    if fuzzy_names or not wanted.fuzzy_names:
        return wanted
    return evolve(wanted, fuzzy_names=False, warnings=(*wanted.warnings, _FUZZY))


async def _search(archive: Archive, search: Search) -> tuple[list[Attributes], int]:
    """Return the results, and how many there are in all."""
    async with closing(archive.search(search.query)) as matches:
        found = [match async for match in matches]
    offset = search.query.offset
    if len(found) <= search.limit and (found or not offset):
        return found, offset + len(found)
    return found[: search.limit], await archive.count(count_all(search))


def _response(
    service: DicomWeb,
    representation: Representation,
    results: list[Any],
    headers: dict[str, str],
) -> Response:
    if not results and (representation == XML_PARTS or service.config.no_results == 204):
        return Response(status_code=204, headers=headers)
    return datasets_response(results, representation, headers=headers)
