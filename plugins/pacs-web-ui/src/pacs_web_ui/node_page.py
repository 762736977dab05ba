"""Pages of the node: how it is doing, its peers and plugins, and its configuration."""

from collections.abc import Mapping, Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pacs_core.contracts import ConfigOrigin, ConfigValue, NodeInspector
from pacs_web_ui.auditing import NODE_VIEWED
from pacs_web_ui.changes import EchoAnswer, echo
from pacs_web_ui.charts import make_charts
from pacs_web_ui.load import LoadHistory
from pacs_web_ui.node_status import read_configuration, read_status
from pacs_web_ui.rendering import TemplateRenderer
from pacs_web_ui.service import INSPECT_NODE, QUERY_PEER, WebUi

ORIGINS: Final[Mapping[ConfigOrigin, str]] = {
    ConfigOrigin.DEFAULT: "Default",
    ConfigOrigin.FILE: "File",
    ConfigOrigin.ENVIRONMENT: "Environment",
    ConfigOrigin.COMMAND_LINE: "Command line",
}
"""What origins are called, in English."""

QUEUES: Final[Mapping[str, str]] = {
    "write-behind": "Not flushed to disk",
    "audit": "Audit events",
    "events": "Instance events",
    "changes": "Changes for consumers",
}
"""What kinds of queues are called, in English."""


STATES: Final[Mapping[str, str]] = {
    "loaded": "In use",
    "disabled": "Disabled",
    "quarantined": "Quarantined",
}
"""What states of plugins are called, in English."""


SECTIONS: Final = (
    "Account",
    "Administration",
    "AI",
    "Emergency access",
    "Events of workitems",
    "Files",
    "Health",
    "Health, check by check",
    "Jobs",
    "Lifecycle",
    "Metrics",
    "Pages",
    "Performed steps",
    "Routes",
    "Site",
    "Start page",
    "Upload of zip files",
    "Workitems",
    "Worklist",
)
"""What sections of the site are called, by plugins that have no translations of their own."""


def node_routes(ui: WebUi, renderer: TemplateRenderer) -> list[Route]:
    """Return the routes of these pages."""
    pages = NodePages(ui, renderer)
    return [
        Route("/node", pages.node),
        Route("/node/configuration", pages.configuration),
        Route("/peers/{peer}/echo", pages.echo, methods=["POST"]),
    ]


class NodePages:
    """Pages of the node."""

    def __init__(self, ui: WebUi, renderer: TemplateRenderer) -> None:
        self._ui, self._renderer = ui, renderer

    async def node(self, request: Request) -> Response:
        """Show how the node is doing."""
        return await self._show(request, {})

    async def echo(self, request: Request) -> Response:
        """Say whether a peer answers."""
        await self._renderer.form(request)
        peer = self._ui.peer(request.path_params["peer"])
        await self._ui.require(request, QUERY_PEER, peer)
        return await self._show(request, {peer.name: await echo(self._ui.node, peer)})

    async def _show(self, request: Request, answers: Mapping[str, EchoAnswer]) -> Response:
        await self._ui.require(request, INSPECT_NODE)
        node = self._ui.node
        state = await read_status(node, self._ui.archive(request))
        await self._ui.record(request, NODE_VIEWED)
        has_load = node.capabilities.provides(LoadHistory)
        return self._renderer.page(
            request,
            "node.html",
            state=state,
            charts=make_charts(node.find(LoadHistory).samples) if has_load else (),
            queue_names=QUEUES,
            states=STATES,
            sections=self._ui.context.site.sections,
            answers=answers,
        )

    async def configuration(self, request: Request) -> Response:
        """Show every key of the configuration, and where its value comes from."""
        await self._ui.require(request, INSPECT_NODE)
        node = self._ui.node
        await self._ui.record(request, NODE_VIEWED, page="configuration")
        values = read_configuration(node)
        has_inspector = node.capabilities.provides(NodeInspector)
        return self._renderer.page(
            request,
            "configuration.html",
            tables=_by_table(values),
            origins={origin.value: text for origin, text in ORIGINS.items()},
            file=node.find(NodeInspector).config_file if has_inspector else "",
        )


def _by_table(values: Sequence[ConfigValue]) -> dict[str, list[ConfigValue]]:
    """Return the keys of each table; those of a table below it may stand between them."""
    tables: dict[str, list[ConfigValue]] = {}
    for each in values:
        tables.setdefault(each.path.rpartition(".")[0], []).append(each)
    return tables
