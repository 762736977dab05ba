"""Registrations as JSON.

Who may look at them is asked for ``xds.inspect``, who has studies registered for ``xds.register``.
"""

import json
from typing import Final

from pacs_core.contracts import EventAction
from pacs_core.dimse import is_valid_uid
from pacs_web.api import WebContext
from pacs_web.api.http import HttpError, json_response, read_body, read_parameters
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pacs_xds.description import describe_registration
from pacs_xds.interface import ASKED, VIEWED, Registrations, RegistrationState

INSPECT: Final = "xds.inspect"
STEER: Final = "xds.register"
_MOST: Final = 1000


def api_routes(context: WebContext) -> list[BaseRoute]:
    """Return the routes of the API."""
    api = XdsApi(context)
    return [
        Route("/registrations", api.list_registrations),
        Route("/registrations", api.register, methods=["POST"]),
    ]


class XdsApi:
    """The API of registrations.

    Parameters
    ----------
    context : WebContext
    """

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._registrations = context.node.find(Registrations)

    async def list_registrations(self, request: Request) -> Response:
        """List registrations, the latest first."""
        await self._context.require(request, INSPECT)
        given = read_parameters(request, ("study", "state", "limit"))
        limit = given.get("limit", "100")
        if not limit.isdecimal() or not 0 < int(limit) <= _MOST:
            raise HttpError(400, f"limit: a number from 1 to {_MOST}, not {limit[:40]!r}")
        try:
            state = RegistrationState(given["state"]) if "state" in given else None
        except ValueError:
            raise HttpError(400, f"state: one of {', '.join(RegistrationState)}") from None
        await self._context.record(request, VIEWED)
        found = []
        async for each in self._registrations.search(study=given.get("study", ""), state=state):
            found.append(describe_registration(each))
            if len(found) == int(limit):
                break
        return json_response({"registrations": found})

    async def register(self, request: Request) -> Response:
        """Have a study registered; a job does it."""
        await self._context.require(request, STEER)
        try:
            given = json.loads(await read_body(request))
        except (ValueError, RecursionError) as error:
            raise HttpError(400, f"the body is no JSON: {error}") from error
        study = given.get("study") if isinstance(given, dict) else None
        if not isinstance(study, str) or not is_valid_uid(study):
            raise HttpError(400, 'say which study: {"study": UID}')
        await self._context.record(request, ASKED, EventAction.EXECUTE, study=study)
        await self._registrations.request(study)
        return json_response({"study": study}, 202)
