"""A plugin whose routes cannot be created."""

from typing import NoReturn

from pacs_web.api import WebContext, WebRoutesDescriptor

from pacs_core.contracts import Setup
from pacs_core.plugins import hookimpl


@hookimpl(optionalhook=True)
def pacs_web_routes(setup: Setup) -> list[WebRoutesDescriptor]:
    """Return routes that fail."""
    return [WebRoutesDescriptor("broken", create, "/broken")]


def create(context: WebContext) -> NoReturn:
    """Fail."""
    raise RuntimeError("the routes are not there")
