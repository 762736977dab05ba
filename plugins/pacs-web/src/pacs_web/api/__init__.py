"""Public API for plugins that add to the web server.

This module imports nothing of Starlette, so that a hook that returns descriptors costs nothing at
start-up; what routes need once they run is in :mod:`pacs_web.api.http`.
"""

from pacs_web.api.authentication import (
    WebAuthenticator,
    WebAuthenticatorDescriptor,
    WebRefusal,
)
from pacs_web.api.context import WebContext, WebSite
from pacs_web.api.pages import PageFrame, PageRenderer
from pacs_web.api.routes import NavigationEntry, WebRoutesDescriptor

__all__ = [
    "NavigationEntry",
    "PageFrame",
    "PageRenderer",
    "WebAuthenticator",
    "WebAuthenticatorDescriptor",
    "WebContext",
    "WebRefusal",
    "WebRoutesDescriptor",
    "WebSite",
]
