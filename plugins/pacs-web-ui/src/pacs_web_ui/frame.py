"""The layout of these pages, for those of other plugins."""

from pathlib import Path

from attrs import define
from pacs_web.api import PageFrame, PageRenderer, WebContext

from pacs_web_ui.config import WebUiSettings


@define(eq=False)
class TemplateFrame(PageFrame):
    """Gives other plugins what renders our pages."""

    settings: WebUiSettings

    def renderer(self, context: WebContext, folder: Path) -> PageRenderer:
        """Return what renders the pages of a plugin."""
        # Jinja is needed by who answers requests, and not before the node is ready.
        from pacs_web_ui.rendering import TemplateRenderer

        return TemplateRenderer(context, self.settings, folder)
