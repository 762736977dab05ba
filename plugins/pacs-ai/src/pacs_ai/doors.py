"""Doors for services: who shows a token of a request, and what that one may see."""

from pacs_web.api import WebAuthenticator, WebRefusal
from starlette.requests import HTTPConnection

from pacs_ai.config import AiConfig
from pacs_ai.tokens import check_token, is_token
from pacs_core.contracts import Node, Origin, Principal


class TokenAuthenticator(WebAuthenticator):
    """Knows requests by their token.

    Parameters
    ----------
    node : Node
    config : AiConfig
    """

    def __init__(self, node: Node, config: AiConfig) -> None:
        self._node = node
        self._config = config

    async def authenticate(
        self, request: HTTPConnection, origin: Origin
    ) -> Principal | WebRefusal | None:
        """See base."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not is_token(token.strip()):
            return None
        if principal := await check_token(self._node, self._config, token.strip()):
            return principal
        challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        return WebRefusal("the token of the request is not good any more", headers=challenge)
