"""The authorization code flow with PKCE (OpenID Connect Core §3.1, RFC 7636), for people.

What the browser must come back with is in a cookie of its own, for ten minutes: `state`, so that
nobody is signed in by an answer to somebody else; `nonce`, which the ID token repeats; the verifier
of the code's challenge; and the page to go to.
"""

import hmac
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from hashlib import sha256
from typing import Final
from urllib.parse import urlencode

from pacs_auth_local.api import Sessions, page_of_this_site
from pacs_web.api import WebContext
from pacs_web.api.http import HttpError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from pacs_auth_oidc.provider import IdentityProvider, ProviderError
from pacs_auth_oidc.verification import Claims, TokenError, principal_of

_COOKIE: Final = "pacs_oidc"
_SECONDS: Final = 600
_UNCACHED: Final = {"cache-control": "no-store"}


def flow_routes(context: WebContext) -> Sequence[BaseRoute]:
    """Return the routes below ``/auth/oidc``."""
    flow = CodeFlow(context)
    return [Route("/login", flow.begin), Route("/callback", flow.finish)]


class CodeFlow:
    """Leads people to the provider, and takes them back.

    Parameters
    ----------
    context : WebContext
    """

    def __init__(self, context: WebContext) -> None:
        self._context = context

    @property
    def _provider(self) -> IdentityProvider:
        return self._context.node.find(IdentityProvider)

    def _callback(self, request: Request) -> str:
        return f"{self._context.base_url(request)}/auth/oidc/callback"

    async def begin(self, request: Request) -> Response:
        """Lead somebody to the provider."""
        try:
            endpoints = await self._provider.endpoints()
        except ProviderError as error:
            raise HttpError(503, f"the identity provider: {error}") from error
        config = self._provider.config
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": config.client_id,
            "redirect_uri": self._callback(request),
            "scope": " ".join(("openid", *config.scopes)),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        target = page_of_this_site(request, request.query_params.get("next", ""))
        kept = json.dumps({"state": state, "nonce": nonce, "verifier": verifier, "next": target})
        separator = "&" if "?" in endpoints.authorization else "?"
        where = endpoints.authorization + separator + urlencode(asked)
        response = RedirectResponse(where, 303, _UNCACHED)
        response.set_cookie(
            _COOKIE, urlsafe_b64encode(kept.encode()).decode(), _SECONDS,
            path=self._path(request), httponly=True, samesite="lax",
            secure=request.url.scheme == "https",
        )  # fmt: skip
        return response

    async def finish(self, request: Request) -> Response:
        """Take somebody back, with a code, and begin a session."""
        kept, asked = _read_cookie(request), request.query_params
        state = asked.get("state", "").encode("utf-8", "replace")  # may be anything
        if not kept or not hmac.compare_digest(kept["state"].encode(), state):
            raise HttpError(403, "this answer is to nothing that was asked here: sign in again")
        if asked.get("iss", self._provider.config.issuer) != self._provider.config.issuer:
            raise HttpError(403, "this answer is of another provider (RFC 9207)")
        if "code" not in asked:
            raise HttpError(403, f"the identity provider says no: {asked.get('error', '')!a:.80}")
        form = {
            "grant_type": "authorization_code",
            "code": asked["code"],
            "redirect_uri": self._callback(request),
            "code_verifier": kept["verifier"],
        }
        try:
            answer = await self._provider.exchange(form)
            claims = await self._check(str(answer.get("id_token", "")), kept["nonce"])
            principal = principal_of(claims, self._provider.config, "oidc")
        except ProviderError as error:
            raise HttpError(502, f"the identity provider: {error}") from error
        except TokenError as error:
            raise HttpError(403, f"the identity provider's token is not valid: {error}") from error
        response = RedirectResponse(page_of_this_site(request, kept["next"]), 303, _UNCACHED)
        response.delete_cookie(_COOKIE, path=self._path(request))
        sessions = self._context.node.find(Sessions)
        origin = self._context.origin_of(request)
        await sessions.begin(request, response, principal, origin)
        return response

    async def _check(self, token: str, nonce: str) -> Claims:
        """Return what an ID token says (OpenID Connect Core §3.1.3.7)."""
        client = self._provider.config.client_id
        claims = await self._provider.verify(token, frozenset({client}))
        if not hmac.compare_digest(claims.text("nonce").encode(), nonce.encode()):
            raise TokenError("its nonce is another one")
        if claims.values.get("azp", client) != client:
            raise TokenError("it was made for another client")
        return claims

    def _path(self, request: Request) -> str:
        return f"{self._context.base_path(request)}/auth/oidc/"


def _read_cookie(request: Request) -> dict[str, str]:
    """Return what the cookie keeps; nothing if there is none, or it is none of ours."""
    try:
        kept = json.loads(urlsafe_b64decode(request.cookies.get(_COOKIE, "")))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(kept, dict) or kept.keys() != {"state", "nonce", "verifier", "next"}:
        return {}
    found = {name: text for name, text in kept.items() if isinstance(text, str) and text.isascii()}
    return found if len(found) == len(kept) else {}
