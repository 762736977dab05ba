"""Public for other plugins: sessions of people who signed in elsewhere, and ways to sign in."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from attrs import field, frozen
from pacs_web.api import WebRefusal

from pacs_core.contracts import Component, Origin, Principal

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.responses import Response

_LONGEST: Final = 4096

__all__ = ["Sessions", "SignInMethod", "demand_sign_in", "page_of_this_site"]


class Sessions(Component, ABC):
    """Sessions of people in browsers; a capability of the node.

    A plugin that knows who somebody is, because an identity provider says so, begins one; requests
    with its cookie are that principal's from then on, until it is idle for too long, has lasted too
    long, or is ended on the page of the account.
    """

    @abstractmethod
    async def begin(
        self,
        request: "HTTPConnection",
        response: "Response",
        principal: Principal,
        origin: Origin,
        *,
        lifetime: float | None = None,
    ) -> None:
        """Sign somebody in, and let a response say so to the browser.

        A session that the browser had before is over.

        Parameters
        ----------
        request : HTTPConnection
        response : Response
            Gets the cookie.
        principal : Principal
        origin : Origin
            From where.
        lifetime : float, optional
            Seconds that it may last at most, if less than the configuration allows.

        Raises
        ------
        AuditFailedError
            It could not be recorded, and so is not done.
        """


@frozen
class SignInMethod:
    """A way to sign in besides name and password, which the page to sign in links to.

    Attributes
    ----------
    title : str
        In English: ``"Sign in with the hospital's account"``.
    path : str
        From the root of the site. It gets ``next``, the page to go to afterwards, as a query
        parameter, for :func:`page_of_this_site`.
    titles : mapping of str to str
        In other languages, by language tag.
    """

    title: str
    path: str
    titles: Mapping[str, str] = field(factory=dict)


def base_path_of(request: "HTTPConnection") -> str:
    """Return the path of the root of the site, which routes that are mounted have another for."""
    scope = request.scope
    base: str = scope.get("app_root_path", scope["root_path"])
    return base


def page_of_this_site(request: "HTTPConnection", target: str) -> str:
    """Return a path to lead somebody to who has signed in: the target, or the root of the site.

    A target that a browser could take for another site's is none: it must be a path below the root
    of this site, of visible ASCII, without what browsers read as a second slash.

    Parameters
    ----------
    request : HTTPConnection
    target : str
        Whatever a query parameter says.
    """
    base = base_path_of(request)
    is_ours = (
        target.startswith(f"{base}/")
        and not target.startswith("//")
        and "\\" not in target
        and len(target) <= _LONGEST
        and all("!" <= character <= "~" for character in target)
    )
    return target if is_ours else f"{base}/"


def demand_sign_in(request: "HTTPConnection", reason: str, error: str = "") -> WebRefusal:
    """Return 401 for programs, and for people what leads them to the page where they sign in.

    Parameters
    ----------
    request : HTTPConnection
    reason : str
        For the client, the log and the audit trail.
    error : str
        What is wrong with a token: ``"invalid_token"`` (RFC 6750 §3.1).
    """
    from pacs_web.api.plain_pages import wants_page

    base, headers = base_path_of(request), request.headers
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    page = f"{base}/auth/login?next={quote(target, safe='/')}"
    is_read = request.scope["method"] in {"GET", "HEAD"}
    if is_read and wants_page(request) and "authorization" not in headers:
        return WebRefusal(reason, 303, {"location": page, "cache-control": "no-store"})
    challenge = 'Bearer realm="pacs"' + (f', error="{error}"' if error else "")
    if "sec-fetch-site" not in headers:  # where scripts ask, browsers would open a dialog
        challenge += ', Basic realm="pacs", charset="UTF-8"'
    answer = {"www-authenticate": challenge, "cache-control": "no-store"}
    if "hx-request" in headers:  # then the whole page goes there, not a part of it
        answer["hx-redirect"] = f"{base}/auth/login"
    return WebRefusal(reason, headers=answer)
