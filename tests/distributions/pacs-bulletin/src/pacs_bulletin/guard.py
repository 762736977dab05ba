"""An authenticator: who knows the word is alice, who knows none is refused."""

from pacs_web.api import WebAuthenticator, WebAuthenticatorDescriptor, WebRefusal
from starlette.requests import HTTPConnection

from pacs_core.contracts import Origin, Principal, Setup
from pacs_core.plugins import hookimpl


class Guard(WebAuthenticator):
    """Knows one word."""

    async def start(self) -> None:
        """Learn it."""
        self._word = "Bearer sesame"

    async def authenticate(
        self, request: HTTPConnection, origin: Origin
    ) -> Principal | WebRefusal | None:
        """Let in who says it."""
        said = request.headers.get("authorization")
        if said == self._word:
            return Principal("alice", frozenset({"reader"}), "bearer")
        if said == "Bearer bug":
            raise RuntimeError("the guard is asleep")
        return WebRefusal("say the word", headers={"www-authenticate": 'Bearer realm="pacs"'})


@hookimpl(optionalhook=True)
def pacs_web_authenticators(setup: Setup) -> list[WebAuthenticatorDescriptor]:
    """Return the guard."""
    return [WebAuthenticatorDescriptor("guard", lambda node: Guard())]
