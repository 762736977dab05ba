"""Routes of the service, each path with what answers its methods."""

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from pacs_web.api import WebContext
from pacs_web.api.http import HttpError
from pacs_web.api.media_types import accepted_types, choose
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from pacs_core.contracts import Level
from pacs_core.dataset import MalformedDataset
from pacs_dicomweb.bulk_data import BulkDataRetrieval
from pacs_dicomweb.capabilities import OFFERED, describe
from pacs_dicomweb.config import DicomWebConfig, DicomWebSettings
from pacs_dicomweb.deleting import EntityDeletion
from pacs_dicomweb.frames import FrameRetrieval
from pacs_dicomweb.metadata import MetadataRetrieval
from pacs_dicomweb.rendered import Rendering
from pacs_dicomweb.rendered_parts import RenderedParts
from pacs_dicomweb.retrieving import InstanceRetrieval
from pacs_dicomweb.searching import Handler, search_handler
from pacs_dicomweb.service import DicomWeb
from pacs_dicomweb.storing import Store
from pacs_dicomweb.wado_uri import UriService

_STUDY = "/studies/{study}"
_SERIES = f"{_STUDY}/series/{{series}}"
_INSTANCE = f"{_SERIES}/instances/{{instance}}"
_FRAMES = f"{_INSTANCE}/frames/{{frames}}"

_OFTEN = frozenset({_FRAMES, f"{_FRAMES}/rendered", f"{_INSTANCE}/rendered", "/studies"})

Table = dict[str, dict[str, Handler]]


def routes(context: WebContext, settings: DicomWebSettings) -> Sequence[BaseRoute]:
    """Return the routes."""
    service = DicomWeb(context, settings)
    table, kinds = _table(service)
    paths: Table = {**table, "/": {}}
    # Each request is held against one after the other: what viewers ask for most comes first.
    order = sorted(paths, key=lambda path: path not in _OFTEN)
    return [Route(path, _Endpoint(service, paths[path], table, kinds)) for path in order]


def methods_by_path(
    config: DicomWebConfig,
) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    """Return the methods of each path, and what kind of resource it is, without a node."""
    table, kinds = _table(DicomWeb(cast(WebContext, None), DicomWebSettings(config)))
    return {path: _offered(handlers, config) for path, handlers in table.items()}, kinds


def _offered(methods: Iterable[str], config: DicomWebConfig) -> tuple[str, ...]:
    """Return the methods of a path that are offered as things are by now."""
    return tuple(method for method in methods if method != "DELETE" or config.delete)


def _table(service: DicomWeb) -> tuple[Table, dict[str, str]]:
    """Return what answers each path, and what kind of resource it is."""
    metadata, frames = MetadataRetrieval(service).retrieve, FrameRetrieval(service)
    bulk_data, pictures = BulkDataRetrieval(service, frames), Rendering(service)
    several = RenderedParts(service, pictures)
    whole = InstanceRetrieval(service, bulk_data)
    store = Store(service).store
    searches = {
        "/studies": Level.STUDY,
        "/series": Level.SERIES,
        f"{_STUDY}/series": Level.SERIES,
        "/instances": Level.IMAGE,
        f"{_STUDY}/instances": Level.IMAGE,
        f"{_SERIES}/instances": Level.IMAGE,
    }
    resources = (_STUDY, _SERIES, _INSTANCE)
    table: Table = {
        path: {"GET": search_handler(service, level)} for path, level in searches.items()
    }
    table |= {path: {"GET": whole.retrieve} for path in resources}
    table |= {f"{path}/metadata": {"GET": metadata} for path in resources}
    table |= {
        _FRAMES: {"GET": frames.retrieve},
        f"{_INSTANCE}/bulkdata/{{reference:path}}": {"GET": bulk_data.retrieve},
        f"{_STUDY}/rendered": {"GET": several.retrieve},
        f"{_SERIES}/rendered": {"GET": several.retrieve},
        f"{_INSTANCE}/rendered": {"GET": pictures.retrieve},
        f"{_FRAMES}/rendered": {"GET": pictures.retrieve},
        "/wado": {"GET": UriService(service, whole, pictures).retrieve},
    }
    for kind in ("bulkdata", "pixeldata"):
        table |= {f"{path}/{kind}": {"GET": bulk_data.retrieve_all} for path in resources}
    table |= {f"{path}/thumbnail": {"GET": pictures.thumbnail} for path in (*resources, _FRAMES)}
    for path in ("/studies", _STUDY):
        table[path]["POST"] = store
    for path in resources:
        table[path]["DELETE"] = EntityDeletion(service).delete
    kinds = {
        path: "search" if path in searches else "" if path in resources else _last(path)
        for path in table
    }
    return table, kinds


def _last(path: str) -> str:
    return [part for part in path.split("/") if "{" not in part][-1]


class _Endpoint:
    """Answers the methods of a path; HEAD as GET, OPTIONS with what there is, others with 405."""

    def __init__(
        self,
        service: DicomWeb,
        handlers: Mapping[str, Handler],
        table: Table,
        kinds: Mapping[str, str],
    ) -> None:
        self._service = service
        self._handlers = handlers
        self._table, self._kinds = table, kinds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        request = Request(scope, receive)
        response = await self._answer(request)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        offered = _offered(self._handlers, self._service.config)
        if method in offered:
            try:
                response = await self._handlers[method](request)
            except MalformedDataset as error:
                # It has been stored, and can be had as a whole; nothing of it can.
                raise HttpError(406, f"the dataset cannot be read: {error}") from error
            # What there is depends on what is accepted (RFC 9110 §12.5.5): without this a cache
            # would hand out, to who accepts something else, what it has.
            response.headers.add_vary_header("Accept")
            return response
        head = ("HEAD",) if "GET" in offered else ()
        methods = ", ".join((*offered, *head, "OPTIONS"))
        allowed = {"Allow": methods}
        if method == "OPTIONS":
            return self._capabilities(request, allowed)
        raise HttpError(405, f"{request.method} is not for this; {methods} are", allowed)

    def _capabilities(self, request: Request, allowed: dict[str, str]) -> Response:
        """Answer with what there is (PS3.18 §8.9), or with the methods alone."""
        choices = choose(accepted_types(request.headers.get("accept")), OFFERED)
        if not choices:
            return Response(status_code=204, headers=allowed)
        config = self._service.config
        table = {path: _offered(handlers, config) for path, handlers in self._table.items()}
        text = describe(table, self._kinds, self._service.url(request))
        return Response(text, headers=allowed, media_type=choices[0].representation.name)
