"""Performed steps as JSON, at ``/api/mpps``; attributes in the DICOM JSON Model (PS3.18 F)."""

import json
from datetime import UTC, datetime
from typing import Any, Final

from pacs_web.api.http import HttpError, json_response, read_body
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pacs_core.dataset.json_model import attributes_json
from pacs_sop_mpps.searching import read_conditions
from pacs_sop_mpps.steps import PerformedState, PerformedStep
from pacs_sop_mpps.web.desk import MOST, StepDesk

_OWN: Final = ("limit", "state", "before")
"""Parameters that are no keywords of attributes."""


def api_routes(desk: StepDesk) -> list[BaseRoute]:
    """Return the routes of the API."""
    api = StepsApi(desk)
    return [
        Route("/", api.search),
        Route("/{instance}", api.show),
        Route("/{instance}/discontinue", api.discontinue, methods=["POST"]),
    ]


class StepsApi:
    """The API of performed steps."""

    def __init__(self, desk: StepDesk) -> None:
        self._desk = desk

    async def search(self, request: Request) -> Response:
        """Search steps, latest first: keywords with values match as in C-FIND."""
        given = request.query_params
        try:
            conditions = read_conditions(
                (name, value) for name, value in given.items() if name not in _OWN
            )
        except ValueError as error:
            raise HttpError(400, str(error)) from error
        limit = given.get("limit", "50")
        if not (limit.isascii() and limit.isdigit() and len(limit) < 6 and 1 <= int(limit) <= MOST):
            raise HttpError(400, f"limit: a number from 1 to {MOST}")
        page = await self._desk.search(
            request,
            conditions,
            int(limit),
            state=read_state(given.get("state", "")),
            before=given.get("before", ""),
        )
        return json_response(
            {"steps": [_describe(s) for s in page.steps], "has_more": page.has_more}
        )

    async def show(self, request: Request) -> Response:
        """Show a step, and how much of what it made is not in the archive."""
        step = await self._desk.show(request)
        return json_response(
            {**_describe(step), "missing_instances": await self._desk.missing(request, step)}
        )

    async def discontinue(self, request: Request) -> Response:
        """Discontinue a step whose modality has failed."""
        await read_body(request, 10_000)
        return json_response(_describe(await self._desk.discontinue(request)))


def read_state(text: str) -> PerformedState | None:
    """Return a state of a query string; None if it is empty. HttpError 400 if it is none."""
    try:
        return PerformedState(text) if text else None
    except ValueError:
        raise HttpError(400, f"state: one of {', '.join(PerformedState)}") from None


def _describe(step: PerformedStep) -> dict[str, Any]:
    return {
        "instance": step.instance_uid,
        "state": str(step.state),
        "created_by": step.created_by,
        "created": datetime.fromtimestamp(step.created, UTC).isoformat(),
        "changed": datetime.fromtimestamp(step.changed, UTC).isoformat(),
        "studies": list(step.studies),
        "attributes": json.loads(attributes_json(step.attributes)),
    }
