"""An authenticator that does not start."""

from pacs_web.api import WebAuthenticatorDescriptor

from pacs_bulletin.guard import Guard
from pacs_core.contracts import Setup
from pacs_core.plugins import hookimpl


class Sleeper(Guard):
    """Does not wake up."""

    async def start(self) -> None:
        """Fail."""
        raise RuntimeError("the guard does not wake up")


@hookimpl(optionalhook=True)
def pacs_web_authenticators(setup: Setup) -> list[WebAuthenticatorDescriptor]:
    """Return the sleeper."""
    return [WebAuthenticatorDescriptor("sleeper", lambda node: Sleeper())]
