"""Page of a study's history."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pacs_core.contracts import AuditReader
from pacs_web_ui.auditing import HISTORY_VIEWED
from pacs_web_ui.history import read_history
from pacs_web_ui.rendering import TemplateRenderer
from pacs_web_ui.service import READ_AUDIT, WebUi
from pacs_web_ui.studies import find_study


def history_routes(ui: WebUi, renderer: TemplateRenderer) -> list[Route]:
    """Return the route of the page."""

    async def history(request: Request) -> Response:
        """Show what became of a study that whoever asks may see, if they may read the trail."""
        await ui.require(request, READ_AUDIT)
        uid = request.path_params["study"]
        study = await find_study(ui.archive(request), uid)
        found = None
        if ui.node.capabilities.provides(AuditReader):
            await ui.record(request, HISTORY_VIEWED)
            found = await read_history(ui.node.find(AuditReader), uid)
        return renderer.page(request, "history.html", study=study, history=found)

    return [Route("/studies/{study}/history", history)]
