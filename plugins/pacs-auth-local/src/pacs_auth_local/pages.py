"""Pages to sign in, and of whoever has: no scripts, and nothing loaded from anywhere.

Everybody may ask for them. A form to sign in repeats a random word that the browser also has in a
cookie which no other site can set or read; the form to sign out repeats the word of the session.
So no other site can sign anybody in, be it under another name, or out.
"""

import hashlib
import hmac
import math
import secrets
from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final
from urllib.parse import parse_qs, quote

from pacs_web.api import WebContext
from pacs_web.api.http import HttpError, read_body
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from pacs_auth_local.api import SignInMethod, page_of_this_site
from pacs_auth_local.cookies import clear_session_cookie, session_cookie, set_session_cookie
from pacs_auth_local.identities import LocalIdentities, SignInError
from pacs_auth_local.texts import TEXTS, choose_language

_FORM_COOKIE: Final = "pacs_sign_in"
_MAX_FORM: Final = 16 * 1024
_STYLE: Final = (
    ":root{color-scheme:light dark}"
    "body{font:1rem/1.5 system-ui,sans-serif;margin:12vh auto;max-width:22rem;padding:0 1rem}"
    "label{display:block;margin:.8rem 0}input{display:block;width:100%;box-sizing:border-box}"
    "input,button{font:inherit;padding:.5rem .7rem}button{margin-top:.5rem}"
    ".wrong{border-left:4px solid #b3261e;padding-left:.7rem}"
)
_DIGEST: Final = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS: Final = {
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_DIGEST}'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "referrer-policy": "same-origin",
}


def page_routes(context: WebContext) -> Sequence[BaseRoute]:
    """Return the routes below ``/auth``."""
    pages = AccountPages(context)
    return [
        Route("/", pages.account),
        Route("/login", pages.login),
        Route("/login", pages.sign_in, methods=["POST"]),
        Route("/logout", pages.sign_out, methods=["POST"]),
    ]


class AccountPages:
    """The pages.

    Parameters
    ----------
    context : WebContext
    """

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._methods: list[SignInMethod] = []
        for contribution in context.node.hooks.call("pacs_sign_in_methods"):
            given = contribution.result
            if isinstance(given, list) and all(isinstance(one, SignInMethod) for one in given):
                self._methods += given
            else:
                context.node.hooks.refuse(contribution, "pacs_sign_in_methods: return a list")

    @property
    def _identities(self) -> LocalIdentities:
        return self._context.node.find(LocalIdentities)

    async def account(self, request: Request) -> Response:
        """Show who is signed in, or where to."""
        base = self._context.base_path(request)
        session = await self._identities.find_session(session_cookie(request))
        if session is None:
            return RedirectResponse(f"{base}/auth/login", 303, {"cache-control": "no-store"})
        t, principal = TEXTS[choose_language(request)], session.principal
        roles = ", ".join(sorted(principal.roles)) or t["no_roles"]
        body = (
            f"<p>{t['signed_in']} <strong>{escape(principal.name)}</strong></p>"
            f"<p>{t['roles']}: {escape(roles)}</p>"
            f'<form method="post" action="{escape(base)}/auth/logout">'
            f'<input type="hidden" name="csrf" value="{escape(session.csrf)}">'
            f"<button>{t['out']}</button> "
            f'<button name="everywhere" value="1">{t["everywhere"]}</button></form>'
            f'<p><a href="{escape(base)}/">{t["back"]}</a></p>'
        )
        return self._page(request, t["account"], body)

    async def login(self, request: Request) -> Response:
        """Show the form."""
        return self._form(request, request.query_params.get("next", ""))

    async def sign_in(self, request: Request) -> Response:
        """Take the form, and begin a session."""
        form = await _read_form(request)
        target, name = form.get("next", ""), form.get("name", "")
        said = request.cookies.get(_FORM_COOKIE, "")
        if not said or not _is_same(said, form.get("csrf", "")):
            return self._form(request, target, "form", status=403)
        origin = self._context.origin_of(request)
        try:
            user = await self._identities.check_password(name, form.get("password", ""), origin)
        except SignInError as error:
            if error.wait:
                return self._form(request, target, "wait", status=429, wait=error.wait)
            return self._form(request, target, "wrong", status=401)
        await self._identities.end_session(session_cookie(request), origin)
        lifetime = self._identities.config.absolute
        principal = user.principal("password")
        cookie = await self._identities.begin_session(principal, origin, user.name, lifetime)
        response = RedirectResponse(
            page_of_this_site(request, target), 303, {"cache-control": "no-store"}
        )
        set_session_cookie(request, response, cookie)
        return response

    async def sign_out(self, request: Request) -> Response:
        """End the session on this side, and take the cookie back."""
        form, cookie = await _read_form(request), session_cookie(request)
        base, origin = self._context.base_path(request), self._context.origin_of(request)
        session = await self._identities.find_session(cookie)
        if session is not None:
            if not _is_same(session.csrf, form.get("csrf", "")):
                raise HttpError(403, "the form was not of this session: open the page again")
            everywhere = "everywhere" in form
            await self._identities.end_session(cookie, origin, everywhere=everywhere)
        response = RedirectResponse(f"{base}/auth/login", 303, {"cache-control": "no-store"})
        clear_session_cookie(request, response)
        return response

    def _form(
        self,
        request: Request,
        target: str,
        problem: str = "",
        *,
        status: int = 200,
        wait: float = 0.0,
    ) -> Response:
        language = choose_language(request)
        t, base = TEXTS[language], self._context.base_path(request)
        target = page_of_this_site(request, target)
        token = request.cookies.get(_FORM_COOKIE) or secrets.token_urlsafe(24)
        seconds = math.ceil(wait)
        said = t[problem].format(seconds=seconds) if problem else ""
        links = "".join(
            f'<p>{t["or"]} <a href="{escape(f"{base}{each.path}?next={quote(target)}")}">'
            f"{escape(each.titles.get(language, each.title))}</a></p>"
            for each in self._methods
        )
        body = (
            (f'<p class="wrong" role="alert">{escape(said)}</p>' if said else "")
            + f'<form method="post" action="{escape(base)}/auth/login">'
            f'<input type="hidden" name="csrf" value="{escape(token)}">'
            f'<input type="hidden" name="next" value="{escape(target)}">'
            f'<label>{t["name"]}<input name="name" autocomplete="username" required '
            'autofocus autocapitalize="none" spellcheck="false"></label>'
            f'<label>{t["password"]}<input name="password" type="password" '
            'autocomplete="current-password" required></label>'
            f"<button>{t['submit']}</button></form>{links}"
        )
        headers = {"retry-after": str(seconds)} if wait else {}
        response = self._page(request, t["title"], body, status, headers)
        if _FORM_COOKIE not in request.cookies:
            response.set_cookie(
                _FORM_COOKIE, token, path=f"{base}/auth/", httponly=True, samesite="strict",
                secure=request.url.scheme == "https",
            )  # fmt: skip
        return response

    def _page(
        self,
        request: Request,
        title: str,
        body: str,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        node = escape(self._context.node.settings.ae_title)
        page = (
            f'<!doctype html><html lang="{choose_language(request)}"><head>'
            '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            f"<title>{escape(title)} · {node}</title><style>{_STYLE}</style></head>"
            f"<body><main><h1>{node}</h1>{body}</main></body></html>"
        )
        return HTMLResponse(page, status, headers={**_HEADERS, **(headers or {})})


def _is_same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode("utf-8", "replace"))


async def _read_form(request: Request) -> dict[str, str]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise HttpError(415, "send a form: application/x-www-form-urlencoded")
    body = await read_body(request, _MAX_FORM)
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=16)
    except ValueError:
        raise HttpError(400, "the form cannot be read: it is not in UTF-8, or too long") from None
    return {name: values[0] for name, values in fields.items()}
