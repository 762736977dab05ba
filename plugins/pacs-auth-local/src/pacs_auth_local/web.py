"""Identities behind HTTP requests: passwords, tokens, sessions, certificates."""

import math
from base64 import b64decode
from typing import Final

from pacs_web.api import WebAuthenticator, WebRefusal
from starlette.requests import HTTPConnection

from pacs_auth_local.api import demand_sign_in
from pacs_auth_local.bindings import BindingError
from pacs_auth_local.cookies import session_cookie
from pacs_auth_local.identities import LocalIdentities, SignInError
from pacs_auth_local.tokens import PREFIX
from pacs_core.contracts import Node, Origin, Principal

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class RequestAuthenticator(WebAuthenticator):
    """Knows requests by what they present: ``Authorization`` goes before a cookie.

    Parameters
    ----------
    node : Node
    """

    def __init__(self, node: Node) -> None:
        self._node = node

    async def start(self) -> None:
        """See base."""
        self._identities = self._node.find(LocalIdentities)

    async def authenticate(
        self, request: HTTPConnection, origin: Origin
    ) -> Principal | WebRefusal | None:
        """See base."""
        said = request.headers.getlist("authorization")
        if len(said) > 1:
            return WebRefusal("Authorization is there twice", 400)
        if said:
            scheme, _, credentials = said[0].partition(" ")
            if scheme.lower() == "basic":
                return await self._check_basic(request, credentials.strip(), origin)
            if scheme.lower() == "bearer" and credentials.strip().startswith(PREFIX):
                principal = await self._identities.check_token(credentials.strip())
                return principal or demand_sign_in(
                    request, "the token is not valid", "invalid_token"
                )
            return None
        if cookie := session_cookie(request):
            session = await self._identities.find_session(cookie)
            if session is not None:
                if request.scope["method"] not in _SAFE and not _is_from_a_page(request):
                    return WebRefusal("a change with a cookie needs Origin or Sec-Fetch-Site", 403)
                return session.principal
        try:
            return self._identities.bindings.find(origin)
        except BindingError as error:
            return WebRefusal(str(error), 403)

    async def _check_basic(
        self, request: HTTPConnection, credentials: str, origin: Origin
    ) -> Principal | WebRefusal:
        try:
            name, colon, password = b64decode(credentials, validate=True).decode().partition(":")
        except ValueError:
            colon = ""
        if not colon:
            return WebRefusal("Authorization: Basic is malformed (RFC 7617)", 400)
        try:
            user = await self._identities.check_password(name, password, origin)
        except SignInError as error:
            if error.wait and "wrong" not in str(error):
                wait = {"retry-after": str(math.ceil(error.wait))}
                return WebRefusal(str(error), 429, wait)
            return demand_sign_in(request, str(error))
        return user.principal("passcode")

    async def refuse_anonymous(self, request: HTTPConnection, origin: Origin) -> WebRefusal | None:
        """See base."""
        if "authorization" in request.headers:
            return demand_sign_in(request, "nothing here knows these credentials", "invalid_token")
        anonymous = self._identities.config.anonymous
        if anonymous == "allowed" or (
            anonymous == "auto" and not await self._identities.is_anybody_known()
        ):
            return None
        return demand_sign_in(request, "sign in, or say who asks in Authorization")


def _is_from_a_page(request: HTTPConnection) -> bool:
    """Tell whether a browser says which page a request is of; the server has judged whether ours.

    All browsers do. A request that says nothing of it is no browser's, and such have no cookies.
    """
    return "origin" in request.headers or "sec-fetch-site" in request.headers
