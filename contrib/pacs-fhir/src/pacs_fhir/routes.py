"""The interactions: read, search-type, capabilities (FHIR R4 3.1.0).

Whoever asks gets what the archive lets them have. Answers are JSON; what is wrong is an
OperationOutcome.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from attrs import evolve, frozen
from pacs_core.api.streams import closing
from pacs_core.contracts import (
    AccessDeniedError,
    Archive,
    AuditCode,
    Level,
    PluginAuditKind,
    Query,
    SingleValue,
)
from pacs_core.dataset import Attributes, tag_of, texts
from pacs_core.dimse import is_valid_uid
from pacs_web.api import WebContext
from pacs_web.api.http import HttpError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from pacs_fhir.capability import make_capability_statement
from pacs_fhir.config import FhirConfig
from pacs_fhir.imaging_study import (
    INSTANCE_TAGS,
    SERIES_TAGS,
    STUDY_TAGS,
    Resource,
    make_study,
)
from pacs_fhir.searching import SearchError, read_search

FHIR_JSON: Final = "application/fhir+json"
SEARCHED: Final = PluginAuditKind("fhir.searched", AuditCode("110112", "DCM", "Query"))
READ: Final = PluginAuditKind("fhir.read", AuditCode("110112", "DCM", "Query"))

_STUDY: Final = tag_of("StudyInstanceUID")
_SERIES: Final = tag_of("SeriesInstanceUID")
_FORMATS: Final = ("", "json", "application/json", FHIR_JSON, "text/json")
_CODES: Final = {400: "invalid", 403: "forbidden", 404: "not-found", 406: "not-supported"}
"""IssueType by status (FHIR R4, value set issue-type)."""

Handler = Callable[[Request], Awaitable[Response]]


def fhir_routes(context: WebContext, config: FhirConfig) -> list[BaseRoute]:
    """Return the routes of the server."""
    server = FhirServer(context, config)
    handlers: Mapping[str, Handler] = {
        "/metadata": server.capabilities,
        "/ImagingStudy": server.search,
        "/ImagingStudy/{id}": server.read,
    }
    return [Route(path, _outcomes(handler)) for path, handler in handlers.items()]


@frozen
class FhirServer:
    """Answers about studies.

    Parameters
    ----------
    context : WebContext
    config : FhirConfig
    """

    context: WebContext
    config: FhirConfig

    async def capabilities(self, request: Request) -> Response:
        """Say what is offered."""
        return _answer(make_capability_statement(self._base(request)))

    async def search(self, request: Request) -> Response:
        """Find studies."""
        try:
            search = read_search(request.query_params, self.config)
        except SearchError as error:
            raise HttpError(400, str(error)) from error
        await self.context.record(request, SEARCHED, parameters=str(request.query_params)[:500])
        archive = self._archive(request)
        everything = evolve(search.query, limit=None, offset=0, returning=frozenset())
        total = await archive.count(everything)
        entries = []
        async with closing(archive.search(search.query)) as found:
            async for study in found:
                resource = await self._resource(request, archive, study, has_instances=False)
                url = f"{self._base(request)}/ImagingStudy/{resource['id']}"
                entry = {"fullUrl": url, "resource": resource, "search": {"mode": "match"}}
                entries.append(entry)
        bundle: Resource = {"resourceType": "Bundle", "type": "searchset", "total": total}
        bundle["link"] = [{"relation": "self", "url": self._page(request, search.offset)}]
        if search.offset + len(entries) < total and entries:
            following = self._page(request, search.offset + len(entries))
            bundle["link"].append({"relation": "next", "url": following})
        if entries:
            bundle["entry"] = entries
        return _answer(bundle)

    async def read(self, request: Request) -> Response:
        """Return a study."""
        uid = request.path_params["id"]
        archive = self._archive(request)
        query = Query(Level.STUDY, (SingleValue(_STUDY, uid),), STUDY_TAGS, limit=1)
        if is_valid_uid(uid):
            await self.context.record(request, READ, study_instance_uid=uid)
            async with closing(archive.search(query)) as found:
                async for study in found:
                    return _answer(
                        await self._resource(request, archive, study, has_instances=True)
                    )
        raise HttpError(404, f"there is no ImagingStudy/{uid[:64]}")

    async def _resource(
        self, request: Request, archive: Archive, study: Attributes, *, has_instances: bool
    ) -> Resource:
        uid = "".join(texts(study, _STUDY)[:1])
        condition = (SingleValue(_STUDY, uid),)
        async with closing(archive.search(Query(Level.SERIES, condition, SERIES_TAGS))) as found:
            series = [each async for each in found]
        most = self.config.max_instances
        instances: dict[str, list[Attributes]] | None = None
        if has_instances:
            instances, number = {}, 0
            query = Query(Level.IMAGE, condition, INSTANCE_TAGS, limit=most + 1)
            async with closing(archive.search(query)) as found:
                async for each in found:
                    number += 1
                    instances.setdefault("".join(texts(each, _SERIES)[:1]), []).append(each)
            if number > most:
                instances = None  # the resource says that it is a subset
        return make_study(study, series, instances, self.config, self._dicomweb(request))

    def _archive(self, request: Request) -> Archive:
        return self.context.node.archive.on_behalf_of(self.context.origin_of(request))

    def _base(self, request: Request) -> str:
        return self.context.base_url(request) + self.config.path

    def _dicomweb(self, request: Request) -> str:
        return self.config.dicomweb_url or f"{self.context.base_url(request)}/dicom-web"

    def _page(self, request: Request, offset: int) -> str:
        given = [pair for pair in request.query_params.multi_items() if pair[0] != "_offset"]
        given += [("_offset", str(offset))] if offset else []
        return f"{self._base(request)}/ImagingStudy" + (f"?{urlencode(given)}" if given else "")


def _outcomes(handler: Handler) -> Handler:
    """Return a handler whose errors are resources."""

    async def handle(request: Request) -> Response:
        try:
            if request.query_params.get("_format", "") not in _FORMATS:
                raise HttpError(406, f"_format: {FHIR_JSON} is all there is")
            return await handler(request)
        except AccessDeniedError as error:
            return _outcome(HttpError(403, str(error)))
        except HttpError as error:
            return _outcome(error)

    return handle


def _outcome(error: HttpError) -> Response:
    issue = {
        "severity": "error",
        "code": _CODES.get(error.status, "processing"),
        "diagnostics": error.detail,
    }
    return _answer({"resourceType": "OperationOutcome", "issue": [issue]}, error.status)


def _answer(resource: Mapping[str, Any], status: int = 200) -> Response:
    return JSONResponse(
        dict(resource), status, headers={"cache-control": "no-store"}, media_type=FHIR_JSON
    )
