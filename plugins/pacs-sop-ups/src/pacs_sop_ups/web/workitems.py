"""The Workitems resource: create, retrieve, update, search, change, cancel, follow (PS3.18 §11)."""

from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qsl, unquote_plus

from pacs_web.api.datasets import (
    JSON,
    PLAIN_JSON,
    XML,
    XML_PARTS,
    accept,
    datasets_response,
    warning_header,
)
from pacs_web.api.http import HttpError, read_body
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pacs_core.api.attribute_lists import first
from pacs_core.api.normalized import RefusedRequestError
from pacs_core.contracts import AccessAction, EventAction, InvalidKeyError
from pacs_core.dataset import Attributes, MutableAttributes, tag_of
from pacs_core.dimse import is_valid_uid
from pacs_sop_ups.matching import conditions_of, read_keys
from pacs_sop_ups.sop_classes import CHANGED, WELL_KNOWN
from pacs_sop_ups.statuses import UpsStatus
from pacs_sop_ups.steps import SOP_INSTANCE, STATE, TRANSACTION, ChangedStep
from pacs_sop_ups.web.datasets import read_dataset
from pacs_sop_ups.web.desk import WorkitemDesk, refusal

MOST: Final = 1000
"""Workitems in a response."""

_RETRIEVE_URL: Final = tag_of("RetrieveURL")
_ONE: Final = (JSON, XML, XML_PARTS, PLAIN_JSON)
_MANY: Final = (JSON, XML_PARTS, PLAIN_JSON)
_UNCACHED: Final = {"Cache-Control": "no-store"}
_OWN: Final = frozenset({"limit", "offset", "includefield", "fuzzymatching", "accept"})
_LITERAL: Final = (
    "The fuzzymatching parameter is not supported. Only literal matching has been performed."
)
"""PS3.18 §8.3.4.2."""
_TRANSACTION_NAMES: Final = frozenset({"transaction", "transaction-uid", "transactionuid"})
"""How editions of the standard have called it, in lower case."""
_WARNINGS: Final = {
    UpsStatus.CREATED_WITH_MODIFICATIONS: "The Workitem was created with modifications.",
    UpsStatus.COERCED_INVALID_VALUES: "The Workitem was updated with modifications.",
    UpsStatus.ALREADY_CANCELED: "The UPS is already in the requested state of CANCELED.",
    UpsStatus.ALREADY_COMPLETED: "The UPS is already in the requested state of COMPLETED.",
    UpsStatus.DELETION_LOCK_NOT_GRANTED: "Deletion Lock not granted.",
}


def workitem_routes(desk: WorkitemDesk) -> list[BaseRoute]:
    """Return the routes."""
    items = Workitems(desk)
    subscriber = "/{workitem}/subscribers/{receiver}"
    return [
        Route("/", items.search),
        Route("/", items.create, methods=["POST"]),
        Route("/{workitem}", items.retrieve),
        Route("/{workitem}", items.update, methods=["POST"]),
        Route("/{workitem}/state", items.change_state, methods=["PUT"]),
        Route("/{workitem}/state/{requester}", items.change_state, methods=["PUT"]),
        Route("/{workitem}/cancelrequest", items.request_cancel, methods=["POST"]),
        Route("/{workitem}/cancelrequest/{requester}", items.request_cancel, methods=["POST"]),
        Route(subscriber, items.subscribe, methods=["POST"]),
        Route(subscriber, items.unsubscribe, methods=["DELETE"]),
        Route(f"{subscriber}/suspend", items.suspend, methods=["POST"]),
    ]


class Workitems:
    """The transactions of PS3.18 Table 11.1.2-1."""

    def __init__(self, desk: WorkitemDesk) -> None:
        self._desk = desk

    async def create(self, request: Request) -> Response:
        """Create a workitem (§11.4); its UID is in the query, the dataset, or ours to choose."""
        attributes = await self._read(request)
        given = _named(request, "workitem") or first(attributes, SOP_INSTANCE)
        if not given:
            from pydicom.uid import generate_uid

            given = str(generate_uid())
        allowed = await self._desk.restrictions(request, AccessAction.WORKFLOW)
        work = self._desk.steps.create(given, attributes, restrictions=allowed)
        made = await self._desk.change(request, "create", given, work)
        location = {"location": f"{self._url(request)}/{given}"}
        return Response(status_code=201, headers=location | self._warning(request, made.status))

    async def retrieve(self, request: Request) -> Response:
        """Return a workitem, without its Transaction UID (§11.5)."""
        form = accept(request, _ONE, request.query_params.getlist("accept"))[0].representation
        step = await self._desk.find(request, _uid(request))
        return datasets_response([step.attributes], form, headers=_UNCACHED)

    async def update(self, request: Request) -> Response:
        """Set attributes, with the Transaction UID in the query or the dataset (§11.6)."""
        uid, modifications = _uid(request), await self._read(request)
        if not first(modifications, TRANSACTION):
            name = next((n for n in request.query_params if n.lower() in _TRANSACTION_NAMES), "")
            transaction = _named(request, name)
            modifications |= {TRANSACTION: (transaction,)} if transaction else {}
        allowed = await self._desk.restrictions(request, AccessAction.WORKFLOW)
        work = self._desk.steps.change(uid, modifications, restrictions=allowed)
        return self._answer(request, await self._desk.change(request, "set", uid, work))

    async def change_state(self, request: Request) -> Response:
        """Claim, complete or cancel a workitem (§11.7)."""
        uid, given = _uid(request), await self._read(request)
        allowed = await self._desk.restrictions(request, AccessAction.WORKFLOW)
        work = self._desk.steps.change_state(
            uid,
            first(given, STATE),
            first(given, TRANSACTION),
            requestor=request.path_params.get("requester", ""),
            restrictions=allowed,
        )
        return self._answer(request, await self._desk.change(request, "state", uid, work))

    async def request_cancel(self, request: Request) -> Response:
        """Cancel a workitem, or ask its performer to (§11.8)."""
        uid, given = _uid(request), await self._read(request)
        allowed = await self._desk.restrictions(request, AccessAction.WORKFLOW)
        work = self._desk.steps.request_cancel(
            uid,
            given,
            requestor=request.path_params.get("requester", ""),
            restrictions=allowed,
        )
        made = await self._desk.change(request, "request-cancel", uid, work)
        if made.status:
            return self._answer(request, made)
        return Response(status_code=202)

    async def search(self, request: Request) -> Response:
        """Return the workitems that match, the latest first (§11.9)."""
        parameters = request.query_params
        form = accept(request, _MANY, parameters.getlist("accept"))[0].representation
        try:
            keys = read_keys((n, v) for n, v in parameters.multi_items() if n not in _OWN)
            wanted = set(_fields(parameters.getlist("includefield")))
            conditions = conditions_of(keys)
        except InvalidKeyError as error:
            raise HttpError(400, error.comment) from error
        except ValueError as error:
            raise HttpError(400, str(error)) from error
        limit = _number(parameters.get("limit", str(MOST)), "limit")
        offset = _number(parameters.get("offset", "0"), "offset")
        url, fuzzy = self._url(request), parameters.get("fuzzymatching", "false").lower()
        if fuzzy not in ("true", "false"):
            raise HttpError(400, "fuzzymatching: true or false")
        warning = warning_header(url, [_LITERAL] if fuzzy == "true" else [])
        page, has_more = await self._desk.search(request, conditions, offset, min(limit, MOST))
        if not page:
            return Response(status_code=204, headers=warning)
        datasets: list[Attributes] = []
        for step in page:
            own: MutableAttributes = {_RETRIEVE_URL: (f"{url}/{step.instance_uid}",)}
            answered = {**step.answered(), **own}
            if wanted and 0 not in wanted:
                kept = wanted | keys.keys() | {SOP_INSTANCE, STATE, _RETRIEVE_URL}
                answered = {tag: values for tag, values in answered.items() if tag in kept}
            datasets.append(answered)
        # PS3.18 Table 11.9.3-1 has 206 for what is not all.
        status = 206 if has_more else 200
        return datasets_response(datasets, form, status, _UNCACHED | warning)

    async def subscribe(self, request: Request) -> Response:
        """Have somebody told of a workitem, of all, or of those that match (§11.10)."""
        uid, receiver = _uid(request), request.path_params["receiver"]
        lock = request.query_params.get("deletionlock", "false").lower()
        if lock not in ("true", "false"):
            raise HttpError(400, "deletionlock: true or false")
        try:
            keys = read_keys(_filter(request))
        except ValueError as error:
            raise HttpError(400, str(error)) from error
        await read_body(request, 10_000)
        allowed = await self._desk.restrictions_on_telling(request)
        try:
            status = await self._desk.steps.subscribe(
                uid, receiver, keys=keys, has_lock=lock == "true", restrictions=allowed
            )
        except RefusedRequestError as error:
            raise refusal(error) from error
        await self._record_following(request, "subscribe")
        root = self._url(request).removesuffix("/workitems")
        channel = f"ws{root.removeprefix('http')}/subscribers/{receiver}"
        headers = {"content-location": channel} | self._warning(request, status)
        return Response(status_code=201, headers=headers)

    async def unsubscribe(self, request: Request) -> Response:
        """Have somebody told no more (§11.11); 404 if they were not."""
        allowed = await self._desk.restrictions_on_telling(request)
        try:
            was_told = await self._desk.steps.unsubscribe(
                _uid(request), request.path_params["receiver"], restrictions=allowed
            )
        except RefusedRequestError as error:
            raise refusal(error) from error
        return await self._end_following(request, "unsubscribe", was_told)

    async def suspend(self, request: Request) -> Response:
        """Have somebody not follow new workitems (§11.12); 404 if they did not."""
        await read_body(request, 10_000)
        await self._desk.restrictions_on_telling(request)
        try:
            was_told = await self._desk.steps.suspend(
                _uid(request), request.path_params["receiver"]
            )
        except RefusedRequestError as error:
            raise refusal(error) from error
        return await self._end_following(request, "suspend", was_told)

    async def _end_following(self, request: Request, verb: str, was_told: bool) -> Response:
        if not was_told:
            raise HttpError(404, "there is no such subscription")
        await self._record_following(request, verb)
        return Response(status_code=200)

    async def _record_following(self, request: Request, verb: str) -> None:
        parameters = request.path_params
        await self._desk.record(
            request, CHANGED, EventAction.UPDATE,
            do=verb, instance=parameters["workitem"], receiver=parameters["receiver"],
        )  # fmt: skip

    async def _read(self, request: Request) -> MutableAttributes:
        return await read_dataset(request, self._desk.config.max_bytes)

    def _answer(self, request: Request, made: ChangedStep) -> Response:
        return Response(status_code=200, headers=self._warning(request, made.status))

    def _warning(self, request: Request, status: int) -> dict[str, str]:
        text = next((text for code, text in _WARNINGS.items() if code == status), "")
        return warning_header(self._url(request), [text] if text else [])

    def _url(self, request: Request) -> str:
        base = self._desk.context.base_url(request)
        return f"{base}{self._desk.config.web_root}/workitems"


def _uid(request: Request) -> str:
    """Return the workitem of the path."""
    uid: str = request.path_params["workitem"]
    if uid not in WELL_KNOWN and not is_valid_uid(uid):
        raise HttpError(404, "there is no such workitem")
    return uid


def _named(request: Request, name: str) -> str:
    """Return a parameter of the query, or the query if it is a UID as a whole: ``?1.2.3``."""
    query = unquote_plus(request.url.query)
    return query if is_valid_uid(query) else request.query_params.get(name, "")


def _filter(request: Request) -> Iterator[tuple[str, str]]:
    """Iterate over the keys of a filter: parameters, or in one that is called so (§11.10.1.3)."""
    for name, value in request.query_params.multi_items():
        if name == "filter":
            yield from parse_qsl(value.replace(",", "&"), keep_blank_values=True)
        elif name != "deletionlock":
            yield name, value


def _fields(given: list[str]) -> Iterator[int]:
    """Iterate over the tags that are to be answered; 0 stands for all."""
    for word in (word for each in given for word in each.split(",")):
        if word == "all":
            yield 0
        else:
            yield from read_keys([(word.partition(".")[0], "")])


def _number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise HttpError(400, f"{name}: a number")
    return int(text)
