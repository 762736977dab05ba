"""Authenticators of JSON web tokens: bearers over HTTP, user identities over DIMSE."""

from typing import Final

from pacs_auth_local.api import demand_sign_in
from pacs_web.api import WebAuthenticator, WebRefusal
from starlette.requests import HTTPConnection

from pacs_auth_oidc.provider import IdentityProvider, ProviderError
from pacs_auth_oidc.verification import TokenError, is_token, principal_of
from pacs_core.contracts import Authenticated, Authenticator, Node, Origin, Principal, Refused
from pacs_core.upper_layer import NO_REASON_GIVEN, AssociateRJ, AssociateRQ, UserIdentityType

_METHOD: Final = "jwt"
_FOR_NOW: Final = AssociateRJ(result=2, source=1, reason=1)
"""Rejected for now, no reason given (PS3.8 Table 9-21)."""


async def _check(provider: IdentityProvider, token: str) -> Principal:
    claims = await provider.verify(token, provider.config.audiences)
    return principal_of(claims, provider.config, _METHOD)


class BearerAuthenticator(WebAuthenticator):
    """Knows requests by bearer tokens (RFC 6750).

    Parameters
    ----------
    node : Node
    """

    def __init__(self, node: Node) -> None:
        self._node = node

    async def authenticate(
        self, request: HTTPConnection, origin: Origin
    ) -> Principal | WebRefusal | None:
        """See base."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not is_token(token):
            return None
        try:
            return await _check(self._node.find(IdentityProvider), token)
        except TokenError as error:
            return demand_sign_in(request, f"the token is not valid: {error}", "invalid_token")
        except ProviderError as error:
            return WebRefusal(f"the identity provider: {error}", 503, {"retry-after": "30"})

    async def refuse_anonymous(self, request: HTTPConnection, origin: Origin) -> WebRefusal | None:
        """See base."""
        if self._node.find(IdentityProvider).config.anonymous == "allowed":
            return None
        return demand_sign_in(request, "sign in, or say who asks in Authorization")


class TokenAuthenticator(Authenticator):
    """Knows peers by a JSON web token (user identity of type 5, PS3.7 D.3.3.7.1).

    Parameters
    ----------
    node : Node
    """

    def __init__(self, node: Node) -> None:
        self._node = node

    async def authenticate(
        self, request: AssociateRQ, origin: Origin
    ) -> Authenticated | Refused | None:
        """See base."""
        identity = request.user_information.user_identity
        if identity is None or identity.type != UserIdentityType.JWT:
            return None
        try:
            token = identity.primary.decode("ascii", "replace").strip()
            principal = await _check(self._node.find(IdentityProvider), token)
        except TokenError as error:
            return Refused(NO_REASON_GIVEN, f"the token is not valid: {error}")
        except ProviderError as error:
            return Refused(_FOR_NOW, f"the identity provider: {error}"[:500])
        # The response to a token is a token (PS3.7 Table D.3-15); there is no better one.
        return Authenticated(principal, identity.primary)
