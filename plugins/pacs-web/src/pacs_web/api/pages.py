"""The contract of pages in the layout of the user interface, for plugins that bring pages.

A plugin finds the :class:`PageFrame` on its node where a user interface is installed, such as
pacs-web-ui, and needs to know nothing else of it::

    def create(context: WebContext) -> list[BaseRoute]:
        if not context.node.capabilities.provides(PageFrame):
            return []  # no user interface: no page, and no link to it
        renderer = context.node.find(PageFrame).renderer(context, Path(__file__).parent)
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacs_core.contracts import Component
from pacs_web.api.context import WebContext

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    Page = Callable[[Request], Awaitable[Response]]


class PageRenderer(ABC):
    """Makes pages of templates: escaped, in the language of who asks, and with our files only."""

    @abstractmethod
    def page(
        self, request: "Request", template: str, status: int = 200, **values: Any
    ) -> "Response":
        """Return a page, or a part of one.

        Parameters
        ----------
        request : Request
        template : str
            Name of a file in the plugin's folder ``templates``, in the language of Jinja. One that
            begins with ``{% extends "base.html" %}`` has the layout around its blocks ``title``,
            ``scripts`` and ``content``.
        status : int
        **values
            For the template, besides those that all have: ``t`` translates an English text,
            ``base`` is the path of the site, ``node`` the node's settings, ``csrf`` the token that
            a form needs, in a hidden field of this name.
        """

    @abstractmethod
    def with_problems(self, page: "Page") -> "Page":
        """Return a handler that shows what a page raises as a page, with its status."""

    @abstractmethod
    async def form(self, request: "Request") -> Mapping[str, str]:
        """Return the fields of a form that one of these pages has made.

        Raises
        ------
        HttpError
            403: another site has made it.
        """


class PageFrame(Component, ABC):
    """The layout of the user interface: a capability of the plugin that has it."""

    @abstractmethod
    def renderer(self, context: WebContext, folder: Path) -> PageRenderer:
        """Return what renders the pages of a plugin.

        Parameters
        ----------
        context : WebContext
        folder : Path
            With ``templates``, and with ``locale``: a file ``de.toml`` has the English texts of the
            templates as keys. Texts that the layout has itself need not be there.
        """
