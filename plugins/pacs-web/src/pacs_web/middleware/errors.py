"""Errors as problems (RFC 9457), by the kernel's one table of errors; for people, as a page."""

import logging
from collections.abc import Iterable
from email.utils import formatdate
from functools import lru_cache
from html import escape
from http import HTTPStatus
from time import time
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pacs_core.contracts import Origin, find_error_status
from pacs_web.api.context import BASE_PATH_KEY, ORIGIN_KEY
from pacs_web.api.http import HttpError, problem_response
from pacs_web.api.plain_pages import choose_language, plain_page, wants_page

logger = logging.getLogger("pacs_web")

_DEFAULTS: Final = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
}
"""Headers of responses that do not set them: what a page may load, it has to say."""

_LATER: Final = {"retry-after": "60"}

_TEXTS: Final = {
    "en": {
        "heading": "That did not work",
        "missing": "There is nothing here",
        "back": "To the start page",
        "request": "Error {status}, request {request}: the log of the server has it by that name.",
    },
    "de": {
        "heading": "Das ging nicht",
        "missing": "Hier ist nichts",
        "back": "Zur Startseite",
        "request": "Fehler {status}, Anfrage {request}: So steht sie im Protokoll des Servers.",
    },
}


@lru_cache(maxsize=1)
def _date(now: int) -> bytes:
    return formatdate(now, usegmt=True).encode("ascii")


def _complete(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the headers of a response, with the date, and with those that it lacks."""
    given = [each for each in headers if each[0] != b"date"]
    names = {name for name, _ in given}
    missing = [each for each in _DEFAULTS.items() if each[0] not in names]
    return [*given, (b"date", _date(int(time()))), *missing]


class Errors:
    """Answers what routes raise, and sets headers that keep browsers from harm.

    Parameters
    ----------
    app : ASGIApp
    brand : str
        Of pages.
    """

    def __init__(self, app: ASGIApp, brand: str) -> None:
        self._app, self._brand = app, brand

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        started = False

        async def set_headers(message: Message) -> None:
            nonlocal started
            if message["type"] in ("websocket.accept", "websocket.close"):
                started = True
            elif message["type"].endswith("http.response.start"):
                started = True
                message["headers"] = _complete(message.get("headers", ()))
            await send(message)

        try:
            await self._app(scope, receive, set_headers)
        except ClientDisconnect:
            return
        except (Exception, SystemExit) as raised:
            error: BaseException = raised
            while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
                error = error.exceptions[0]
            if isinstance(error, ClientDisconnect):
                return
            origin: Origin = scope[ORIGIN_KEY]
            problem = _problem_of(error)
            _log(scope, origin, error, problem.status, started)
            if not started:  # else the response ends here, and the server cuts it off
                await self._answer(scope, problem, origin)(scope, receive, set_headers)

    def _answer(self, scope: Scope, problem: HttpError, origin: Origin) -> Response:
        request = HTTPConnection(scope)
        if not wants_page(request):
            return problem_response(problem, origin.association)
        language = choose_language(request, _TEXTS)
        t, status = _TEXTS[language], problem.status
        body = (
            f'<p class="wrong" role="alert" lang="en">{escape(problem.detail)}</p>'
            f'<p><a class="button" href="{escape(scope[BASE_PATH_KEY])}/">{t["back"]}</a></p>'
            f'<p class="after">{t["request"].format(status=status, request=origin.association)}</p>'
        )
        heading = t["missing" if status == HTTPStatus.NOT_FOUND else "heading"]
        return plain_page(
            self._brand, heading, body,
            language=language, status=status, headers=problem.headers,
        )  # fmt: skip


def _problem_of(error: BaseException) -> HttpError:
    if isinstance(error, HttpError):
        return error
    if isinstance(error, HTTPException):
        return HttpError(error.status_code, error.detail, error.headers)
    row = find_error_status(error)
    if row is None:
        return HttpError(500, "an internal error; the log of the server says more")
    # What is busy, or not online, may be had later (RFC 9110 §10.2.3).
    headers = _LATER if row.http == HTTPStatus.SERVICE_UNAVAILABLE else None
    return HttpError(row.http, row.comment or str(error), headers)


def _log(
    scope: Scope, origin: Origin, error: BaseException, status: int, was_started: bool
) -> None:
    """Write down what is our fault, or cut a response off; the rest is in the access log."""
    if status < 500 and not was_started:
        return
    is_known = isinstance(error, HttpError | HTTPException) or find_error_status(error)
    target = scope["raw_path"].decode("ascii", "replace")
    logger.error(
        "%s %s: %s %s%s: %s",
        origin.association, origin.host, scope["method"], target,
        " was cut off" if was_started else f" failed with {status}", error or type(error).__name__,
        exc_info=None if is_known else error,
    )  # fmt: skip
