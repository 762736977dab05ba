"""The contract of web routes, for API and pages of jobs; and who may use them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pacs_database.testing import open_database
from pacs_jobs import pacs_web_routes
from pacs_jobs.api import JobQueue, NewJob
from pacs_jobs.database_queue import DatabaseJobQueue
from pacs_web.api import PageFrame, WebRoutesDescriptor
from pacs_web.testing import GuardedRoutesContract, serve_routes
from pacs_web_ui.config import WebUiSettings
from pacs_web_ui.frame import TemplateFrame

from pacs_core.contracts import (
    Node,
    NodeSettings,
    Setup,
    SingleValue,
)
from pacs_core.dataset import tag_of
from pacs_core.testing.operations import MemoryAccessGuard, memory_node

API, PAGES = pacs_web_routes(Setup(NodeSettings()))
CT_ONLY = (SingleValue(tag_of("Modality"), "CT"),)


@pytest.fixture
async def node(tmp_path: Path, anyio_backend: Any) -> AsyncIterator[Node]:
    """A node with a user interface and one job."""
    async with open_database(tmp_path) as database:
        queue = DatabaseJobQueue(database)
        await queue.start()
        await queue.enqueue(NewJob("acme.sweep", {"room": "<b>"}))
        node = memory_node(NodeSettings())
        node.capabilities.provide(JobQueue, queue)
        node.capabilities.provide(PageFrame, TemplateFrame(WebUiSettings()))
        yield node


class TestRoutes(GuardedRoutesContract):
    """Whoever may see some instances only may not: of what others a job is nobody can tell."""

    actions: ClassVar = {
        "GET /api/jobs": "jobs.inspect",
        "GET /api/jobs/{number}": "jobs.inspect",
        "POST /api/jobs/{number}/retry": "jobs.steer",
        "POST /api/jobs/{number}/cancel": "jobs.steer",
        "POST /api/jobs/purge": "jobs.steer",
        "GET /ui/jobs": "jobs.inspect",
        "GET /ui/jobs/{number}": "jobs.inspect",
        "POST /ui/jobs/{number}/retry": "jobs.steer",
        "POST /ui/jobs/{number}/cancel": "jobs.steer",
        "POST /ui/jobs/purge": "jobs.steer",
    }
    untold = "acme"

    @pytest.fixture(params=[API, PAGES], ids=["api", "pages"])
    def descriptor(self, request: pytest.FixtureRequest) -> WebRoutesDescriptor:
        descriptor: WebRoutesDescriptor = request.param
        return descriptor

    @pytest.fixture
    def node(self, node: Node) -> Node:
        return node

    def guards(self, action: str) -> list[MemoryAccessGuard]:
        return [MemoryAccessGuard(action), MemoryAccessGuard(restrictions=CT_ONLY)]

    def request(self, path: str) -> tuple[dict[str, str], bytes]:
        return {"cookie": "pacs_csrf=form"}, b"csrf=form"

    async def state(self, node: Node) -> object:
        return await node.find(JobQueue).find(1)


@pytest.mark.anyio
async def test_without_a_user_interface_there_are_no_pages() -> None:
    async with serve_routes(PAGES) as server:
        assert server.routes == ()
