"""The worklist as JSON, at ``/api/worklist``; attributes in the DICOM JSON Model (PS3.18 F)."""

import json
from typing import Any, Final

from anyio import to_thread
from pacs_web.api.http import HttpError, json_response, read_body
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pacs_core.dataset.json_model import attributes_json
from pacs_sop_worklist.files import MAX_FILE, UnreadableFileError, steps_in
from pacs_sop_worklist.interface import ListedStep
from pacs_sop_worklist.searching import read_conditions
from pacs_sop_worklist.steps import StepState
from pacs_sop_worklist.web.desk import MOST, WorklistDesk, read_after

_OWN: Final = ("limit", "all", "after")
"""Parameters that are no keywords of attributes."""


def api_routes(desk: WorklistDesk) -> list[BaseRoute]:
    """Return the routes of the API."""
    api = WorklistApi(desk)
    return [
        Route("/", api.search),
        Route("/", api.add, methods=["POST"]),
        Route("/{number}", api.show),
        Route("/{number}/cancel", api.cancel, methods=["POST"]),
    ]


class WorklistApi:
    """The API of the worklist."""

    def __init__(self, desk: WorklistDesk) -> None:
        self._desk = desk

    async def search(self, request: Request) -> Response:
        """Search steps by their start: keywords with values match as in C-FIND."""
        given = request.query_params
        try:
            keys = ((name, value) for name, value in given.items() if name not in _OWN)
            conditions = read_conditions(keys)
        except ValueError as error:
            raise HttpError(400, str(error)) from error
        limit, everything = given.get("limit", "50"), given.get("all", "false")
        if not (limit.isascii() and limit.isdigit() and len(limit) < 6 and 1 <= int(limit) <= MOST):
            raise HttpError(400, f"limit: a number from 1 to {MOST}")
        if everything not in ("true", "false"):
            raise HttpError(400, "all: true or false")
        page = await self._desk.search(
            request,
            conditions,
            int(limit),
            with_ended=everything == "true",
            after=read_after(given.get("after", "")),
        )
        return json_response(
            {"steps": [_describe(s) for s in page.steps], "has_more": page.has_more}
        )

    async def show(self, request: Request) -> Response:
        """Show a step, also one that is no longer on the list."""
        return json_response(_describe(await self._desk.show(request)))

    async def add(self, request: Request) -> Response:
        """Put the steps of entries on the list: DICOM JSON, or a DICOM file."""
        body = await read_body(request, MAX_FILE)
        try:
            steps = await to_thread.run_sync(steps_in, body)
        except UnreadableFileError as error:
            raise HttpError(400, str(error)) from error
        if not steps:
            raise HttpError(400, "there is no entry of a worklist")
        return json_response({"numbers": await self._desk.add(request, steps)}, 201)

    async def cancel(self, request: Request) -> Response:
        """Take a step off the list."""
        await read_body(request, 10_000)
        number = await self._desk.cancel(request)
        return json_response({"number": number, "state": str(StepState.CANCELED)})


def _describe(listed: ListedStep) -> dict[str, Any]:
    return {
        "number": listed.number,
        "state": str(listed.step.state),
        "source": listed.source,
        "performed": listed.performed,
        "attributes": json.loads(attributes_json(listed.step.answered())),
    }
