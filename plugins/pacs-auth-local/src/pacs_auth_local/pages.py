"""Pages to sign in, and of whoever has: no scripts, and nothing loaded from anywhere.

Everybody may ask for them. A form to sign in repeats a random word that the browser also has in a
cookie which no other site can set or read; the form to sign out repeats the word of the session.
So no other site can sign anybody in, be it under another name, or out.
"""

import hmac
import math
import secrets
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final
from urllib.parse import parse_qs, quote

from pacs_web.api import WebContext
from pacs_web.api.http import HttpError, read_body
from pacs_web.api.plain_pages import choose_language, plain_page
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from pacs_auth_local.api import SignInMethod, page_of_this_site
from pacs_auth_local.cookies import clear_session_cookie, session_cookie, set_session_cookie
from pacs_auth_local.identities import LocalIdentities, SignInError
from pacs_auth_local.names import is_name
from pacs_auth_local.texts import TEXTS

_FORM_COOKIE: Final = "pacs_sign_in"
_MAX_FORM: Final = 16 * 1024


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
        t, principal = TEXTS[choose_language(request, TEXTS)], session.principal
        roles = ", ".join(sorted(principal.roles)) or t["no_roles"]
        body = (
            f"<dl><dt>{t['signed_in']}</dt><dd><strong>{escape(principal.name)}</strong></dd>"
            f"<dt>{t['roles']}</dt><dd>{escape(roles)}</dd></dl>"
            f'<form method="post" action="{escape(base)}/auth/logout">'
            f'<input type="hidden" name="csrf" value="{escape(session.csrf)}">'
            f'<button class="primary">{t["out"]}</button>'
            f'<button name="everywhere" value="1">{t["everywhere"]}</button></form>'
            f'<p class="after"><a href="{escape(base)}/">{t["back"]}</a></p>'
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
            return self._form(request, target, "form", status=403, name=name)
        origin = self._context.origin_of(request)
        try:
            user = await self._identities.check_password(name, form.get("password", ""), origin)
        except SignInError as error:
            if error.wait:
                return self._form(request, target, "wait", status=429, wait=error.wait, name=name)
            return self._form(request, target, "wrong", status=401, name=name)
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
        name: str = "",
    ) -> Response:
        language = choose_language(request, TEXTS)
        t, base = TEXTS[language], self._context.base_path(request)
        target = page_of_this_site(request, target)
        token = request.cookies.get(_FORM_COOKIE) or secrets.token_urlsafe(24)
        seconds = math.ceil(wait)
        said = t[problem].format(seconds=seconds) if problem else ""
        links = "".join(
            f'<a class="button" href="{escape(f"{base}{each.path}?next={quote(target)}")}">'
            f"{escape(each.titles.get(language, each.title))}</a>"
            for each in self._methods
        )
        others = f'<div class="or">{t["or"]}{links}</div>' if links else ""
        known = name if is_name(name) else ""
        focus = ("", " autofocus") if problem else (" autofocus", "")
        body = (
            (f'<p class="wrong" role="alert">{escape(said)}</p>' if said else "")
            + f'<form method="post" action="{escape(base)}/auth/login">'
            f'<input type="hidden" name="csrf" value="{escape(token)}">'
            f'<input type="hidden" name="next" value="{escape(target)}">'
            f'<label>{t["name"]}<input name="name" autocomplete="username" required '
            f'autocapitalize="none" spellcheck="false" value="{escape(known)}"{focus[0]}></label>'
            f'<label>{t["password"]}<input name="password" type="password" '
            f'autocomplete="current-password" required{focus[1]}></label>'
            f'<button class="primary">{t["submit"]}</button></form>{others}'
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
        brand, language = self._context.node.settings.ae_title, choose_language(request, TEXTS)
        return plain_page(brand, title, body, language=language, status=status, headers=headers)


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
