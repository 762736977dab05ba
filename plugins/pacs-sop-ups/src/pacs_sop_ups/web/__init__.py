"""UPS-RS: procedure steps over HTTP, as workitems (PS3.18 §11).

What needs Starlette is imported when the web server asks for the routes.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pacs_web.api import WebContext, WebRoutesDescriptor

from pacs_sop_ups.config import UpsConfig

if TYPE_CHECKING:
    from starlette.routing import BaseRoute


def web_routes(config: UpsConfig) -> list[WebRoutesDescriptor]:
    """Return the descriptors of the service, and of its event channel."""

    def create(context: WebContext) -> "Sequence[BaseRoute]":
        from pacs_sop_ups.web.desk import WorkitemDesk
        from pacs_sop_ups.web.workitems import workitem_routes

        return workitem_routes(WorkitemDesk(context, config))

    def describe(context: WebContext) -> Mapping[str, Any]:
        from pacs_sop_ups.web.openapi import describe_service

        return describe_service()

    def create_channel(context: WebContext) -> "Sequence[BaseRoute]":
        from starlette.routing import WebSocketRoute

        from pacs_sop_ups.web.channel import EventChannel
        from pacs_sop_ups.web.desk import WorkitemDesk

        channel = EventChannel(WorkitemDesk(context, config))
        return [WebSocketRoute("/{receiver}", channel.open)]

    return [
        WebRoutesDescriptor(
            "workitems",
            create,
            f"{config.web_root}/workitems",
            "Workitems",
            openapi=describe,
            max_body=config.max_bytes,
        ),
        WebRoutesDescriptor(
            "workitem-events",
            create_channel,
            f"{config.web_root}/subscribers",
            "Events of workitems",
            max_body=0,
        ),
    ]
