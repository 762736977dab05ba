"""Jobs over HTTP and in the browser: API under ``/api/jobs``, pages under ``/ui/jobs``.

What needs Starlette is imported when the web server asks for the routes.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pacs_web.api import NavigationEntry, PageFrame, WebContext, WebRoutesDescriptor

from pacs_jobs.queue import JobQueue

if TYPE_CHECKING:
    from starlette.routing import BaseRoute


def web_routes() -> list[WebRoutesDescriptor]:
    """Return the descriptors of API and pages."""
    page = NavigationEntry("Jobs", "/ui/jobs/", "jobs", 70)
    return [
        WebRoutesDescriptor("jobs-api", _create_api, "/api/jobs", "Jobs", openapi=_describe),
        WebRoutesDescriptor("jobs-pages", _create_pages, "/ui/jobs", "Jobs", (page,)),
    ]


def _create_api(context: WebContext) -> "Sequence[BaseRoute]":
    from pacs_jobs.web.desk import JobDesk
    from pacs_jobs.web.rest import api_routes

    return api_routes(JobDesk(context, context.node.find(JobQueue)))


def _create_pages(context: WebContext) -> "Sequence[BaseRoute]":
    if not context.node.capabilities.provides(PageFrame):
        return []
    from pacs_jobs.web.desk import JobDesk
    from pacs_jobs.web.pages import page_routes

    return page_routes(JobDesk(context, context.node.find(JobQueue)))


def _describe(context: WebContext) -> Mapping[str, Any]:
    from pacs_jobs.web.openapi import describe_api

    return describe_api()
