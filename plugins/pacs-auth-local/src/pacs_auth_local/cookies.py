"""The session's cookie: out of the reach of scripts, of other sites, and of plain HTTP."""

from typing import Final

from starlette.requests import HTTPConnection
from starlette.responses import Response

from pacs_auth_local.api import base_path_of

NAME: Final = "pacs_session"


def cookie_name(request: HTTPConnection) -> str:
    """Return the name of the cookie as the request has to have it.

    With the prefix ``__Host-`` no other host of the domain can set it, and with ``__Secure-`` none
    over HTTP (RFC 6265bis §4.1.3). The former is only for cookies of a whole host.
    """
    if request.scope["scheme"] != "https":
        return NAME
    return f"__Secure-{NAME}" if base_path_of(request) else f"__Host-{NAME}"


def session_cookie(request: HTTPConnection) -> str:
    """Return what the cookie says; empty if there is none."""
    return request.cookies.get(cookie_name(request), "")


def set_session_cookie(request: HTTPConnection, response: Response, said: str) -> None:
    """Give a browser the cookie, for as long as it runs.

    ``Lax`` lets links from elsewhere lead to pages, but no other site make changes.
    """
    response.set_cookie(cookie_name(request), said, **_where(request))  # type: ignore[arg-type]


def clear_session_cookie(request: HTTPConnection, response: Response) -> None:
    """Take the cookie from a browser."""
    response.delete_cookie(cookie_name(request), **_where(request))  # type: ignore[arg-type]


def _where(request: HTTPConnection) -> dict[str, object]:
    return {
        "path": f"{base_path_of(request)}/",
        "secure": request.url.scheme == "https",
        "httponly": True,
        "samesite": "lax",
    }
