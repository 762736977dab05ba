"""Routes of the service, each path with what answers its methods."""

from collections.abc import Mapping, Sequence

from pacs_web.api import WebContext
from pacs_web.api.http import HttpError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from pacs_core.contracts import Level
from pacs_core.dataset import MalformedDataset
from pacs_dicomweb.bulk_data import BulkDataRetrieval
from pacs_dicomweb.config import DicomWebConfig
from pacs_dicomweb.frames import FrameRetrieval
from pacs_dicomweb.metadata import MetadataRetrieval
from pacs_dicomweb.rendered import Rendering
from pacs_dicomweb.retrieving import InstanceRetrieval
from pacs_dicomweb.searching import Handler, search_handler
from pacs_dicomweb.service import DicomWeb
from pacs_dicomweb.storing import Store

_STUDY = "/studies/{study}"
_SERIES = f"{_STUDY}/series/{{series}}"
_INSTANCE = f"{_SERIES}/instances/{{instance}}"


def routes(context: WebContext, config: DicomWebConfig) -> Sequence[BaseRoute]:
    """Return the routes."""
    service = DicomWeb(context, config)
    studies, series, instances = (
        {"GET": search_handler(service, level)}
        for level in (Level.STUDY, Level.SERIES, Level.IMAGE)
    )
    whole, metadata = InstanceRetrieval(service).retrieve, MetadataRetrieval(service).retrieve
    frames, store = FrameRetrieval(service), Store(service).store
    bulk_data, pictures = BulkDataRetrieval(service, frames), Rendering(service)
    table: dict[str, Mapping[str, Handler]] = {
        "/studies": {**studies, "POST": store},
        "/series": series,
        f"{_STUDY}/series": series,
        "/instances": instances,
        f"{_STUDY}/instances": instances,
        f"{_SERIES}/instances": instances,
        _STUDY: {"GET": whole, "POST": store},
        _SERIES: {"GET": whole},
        _INSTANCE: {"GET": whole},
        f"{_STUDY}/metadata": {"GET": metadata},
        f"{_SERIES}/metadata": {"GET": metadata},
        f"{_INSTANCE}/metadata": {"GET": metadata},
        f"{_INSTANCE}/frames/{{frames}}": {"GET": frames.retrieve},
        f"{_INSTANCE}/frames/{{frames}}/rendered": {"GET": pictures.retrieve},
        f"{_INSTANCE}/frames/{{frames}}/thumbnail": {"GET": pictures.thumbnail},
        f"{_INSTANCE}/rendered": {"GET": pictures.retrieve},
        f"{_SERIES}/rendered": {"GET": pictures.retrieve_several},
        f"{_STUDY}/rendered": {"GET": pictures.retrieve_several},
        f"{_INSTANCE}/thumbnail": {"GET": pictures.thumbnail},
        f"{_SERIES}/thumbnail": {"GET": pictures.thumbnail},
        f"{_STUDY}/thumbnail": {"GET": pictures.thumbnail},
        f"{_INSTANCE}/bulkdata/{{reference:path}}": {"GET": bulk_data.retrieve},
    }
    return [Route(path, _Endpoint(handlers)) for path, handlers in table.items()]


class _Endpoint:
    """Answers the methods of a path; HEAD as GET, OPTIONS with what there is, others with 405."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers = handlers
        head = ("HEAD",) if "GET" in handlers else ()
        self._allowed = ", ".join((*handlers, *head, "OPTIONS"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        request = Request(scope, receive)
        response = await self._answer(request)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        if handler := self._handlers.get(method):
            try:
                return await handler(request)
            except MalformedDataset as error:
                # It has been stored, and can be had as a whole; nothing of it can.
                raise HttpError(406, f"the dataset cannot be read: {error}") from error
        allowed = {"Allow": self._allowed}
        if method == "OPTIONS":
            return Response(status_code=204, headers=allowed)
        raise HttpError(405, f"{request.method} is not for this; {self._allowed} are", allowed)
