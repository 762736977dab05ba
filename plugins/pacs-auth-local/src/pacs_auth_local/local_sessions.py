"""The capability of sessions, for people whom another plugin knows."""

from typing import TYPE_CHECKING

from pacs_auth_local.api import Sessions
from pacs_auth_local.identities import LocalIdentities
from pacs_core.contracts import Origin, Principal

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.responses import Response


class LocalSessions(Sessions):
    """Sessions in the file of identities.

    Parameters
    ----------
    identities : LocalIdentities
    """

    def __init__(self, identities: LocalIdentities) -> None:
        self._identities = identities

    async def begin(
        self,
        request: "HTTPConnection",
        response: "Response",
        principal: Principal,
        origin: Origin,
        *,
        lifetime: float | None = None,
    ) -> None:
        """See base."""
        # Starlette is imported by the first who signs in, and not before the node is ready.
        from pacs_auth_local.cookies import session_cookie, set_session_cookie

        await self._identities.end_session(session_cookie(request), origin)
        longest = self._identities.config.absolute
        lifetime = longest if lifetime is None else lifetime
        cookie = await self._identities.begin_session(principal, origin, None, lifetime)
        set_session_cookie(request, response, cookie)
