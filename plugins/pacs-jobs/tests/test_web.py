"""The contract of web routes, for API and pages of jobs; and who may use them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from pacs_database.testing import open_database
from pacs_jobs import pacs_web_routes
from pacs_jobs.api import JobQueue, NewJob
from pacs_jobs.database_queue import DatabaseJobQueue
from pacs_web.api import PageFrame, WebRoutesDescriptor
from pacs_web.testing import WebRoutesContract, serve_routes
from pacs_web_ui.config import WebUiSettings
from pacs_web_ui.rendering import TemplateFrame

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


class TestApi(WebRoutesContract):
    @pytest.fixture
    def descriptor(self) -> WebRoutesDescriptor:
        return API

    @pytest.fixture
    def node(self, node: Node) -> Node:
        return node


class TestPages(WebRoutesContract):
    @pytest.fixture
    def descriptor(self) -> WebRoutesDescriptor:
        return PAGES

    @pytest.fixture
    def node(self, node: Node) -> Node:
        return node


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("descriptor", "path", "action"),
    [
        (API, "/api/jobs", "jobs.inspect"),
        (API, "/api/jobs/1", "jobs.inspect"),
        (API, "POST /api/jobs/1/retry", "jobs.steer"),
        (API, "POST /api/jobs/1/cancel", "jobs.steer"),
        (API, "POST /api/jobs/purge", "jobs.steer"),
        (PAGES, "/ui/jobs", "jobs.inspect"),
        (PAGES, "/ui/jobs/1", "jobs.inspect"),
    ],
)
async def test_who_may_not_is_told_so(
    node: Node, descriptor: WebRoutesDescriptor, path: str, action: str
) -> None:
    """Also whoever may see some instances only: of what others a job is about nobody can tell."""
    method, _, path = path.rpartition(" ")
    for guard in (MemoryAccessGuard(action), MemoryAccessGuard(restrictions=CT_ONLY)):
        async with serve_routes(descriptor, evolve(node, access=guard)) as server:
            response = await server.client.request(method or "GET", path)
        assert response.status_code == 403
        assert [each.action for each in guard.asked] == [action]
        assert "acme" not in response.text
    assert (await node.find(JobQueue).find(1)).cancel_requested is False


@pytest.mark.anyio
async def test_without_a_user_interface_there_are_no_pages() -> None:
    async with serve_routes(PAGES) as server:
        assert server.routes == ()
