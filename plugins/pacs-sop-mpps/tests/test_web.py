"""The contract of web routes, for API and pages of performed steps; and for whom which exist."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from attrs import evolve
from pacs_database.testing import open_database
from pacs_jobs.database_queue import DatabaseJobQueue
from pacs_sop_mpps import pacs_web_routes
from pacs_sop_mpps.api import PerformedProcedureSteps
from pacs_sop_mpps.config import MppsConfig
from pacs_sop_mpps.database_steps import DatabasePerformedSteps
from pacs_sop_mpps.testing import sample_attributes
from pacs_web.api import PageFrame, WebRoutesDescriptor
from pacs_web.testing import GuardedRoutesContract, serve_routes
from pacs_web_ui.config import WebUiSettings
from pacs_web_ui.frame import TemplateFrame

from pacs_core.contracts import Node, NodeSettings, Setup, SingleValue
from pacs_core.dataset import tag_of
from pacs_core.testing.operations import MemoryAccessGuard, memory_node

API, PAGES = pacs_web_routes(Setup(NodeSettings()))
CT_ONLY = (SingleValue(tag_of("Modality"), "CT"),)
NAME, MODALITY = tag_of("PatientName"), tag_of("Modality")


@pytest.fixture
async def node(tmp_path: Path, anyio_backend: Any) -> AsyncIterator[Node]:
    """A node with a user interface, and the steps 1.1 of CT, 1.2 of MR and 1.3 of CT."""
    async with open_database(tmp_path) as database:
        queue = DatabaseJobQueue(database)
        await queue.start()
        steps = DatabasePerformedSteps(database, queue, MppsConfig())
        await steps.start()
        for uid, modality in (("1.1", "CT"), ("1.2", "MR"), ("1.3", "CT")):
            own = {NAME: ("<b>^Jane",), MODALITY: (modality,)}
            await steps.create(uid, {**sample_attributes(), **own})
        node = memory_node(NodeSettings())
        node.capabilities.provide(PerformedProcedureSteps, steps)
        node.capabilities.provide(PageFrame, TemplateFrame(WebUiSettings()))
        yield node


class TestRoutes(GuardedRoutesContract):
    actions: ClassVar = {
        "GET /api/mpps": "workflow",
        "GET /api/mpps/{instance}": "workflow",
        "POST /api/mpps/{instance}/discontinue": "workflow",
        "GET /ui/mpps": "workflow",
        "GET /ui/mpps/{instance}": "workflow",
        "POST /ui/mpps/{instance}/discontinue": "workflow",
    }
    known = "1.1"
    untold = "Jane"

    @pytest.fixture(params=[API, PAGES], ids=["api", "pages"])
    def descriptor(self, request: pytest.FixtureRequest) -> WebRoutesDescriptor:
        descriptor: WebRoutesDescriptor = request.param
        return descriptor

    @pytest.fixture
    def node(self, node: Node) -> Node:
        return node

    def request(self, path: str) -> tuple[dict[str, str], bytes]:
        return {"cookie": "pacs_csrf=form"}, b"csrf=form"

    async def state(self, node: Node) -> object:
        return (await node.find(PerformedProcedureSteps).find("1.1")).state


@pytest.mark.anyio
async def test_what_is_hidden_does_not_exist(node: Node) -> None:
    """It is neither seen nor ended, nor told by the page before which it would be."""
    restricted = evolve(node, access=MemoryAccessGuard(restrictions=CT_ONLY))
    async with serve_routes(API, restricted) as server:
        client = server.client
        found = (await client.get("/api/mpps")).json()
        assert [each["instance"] for each in found["steps"]] == ["1.3", "1.1"]
        answers = [
            (await client.get(f"/api/mpps/{uid}")).json()["detail"] for uid in ("1.2", "1.9")
        ]
        assert answers[0] == answers[1]
        assert (await client.post("/api/mpps/1.2/discontinue")).status_code == 404
        assert (await client.get("/api/mpps?before=1.2")).status_code == 400
    async with serve_routes(PAGES, restricted) as server:
        assert "/ui/mpps/1.2" not in (await server.client.get("/ui/mpps/")).text


@pytest.mark.anyio
async def test_the_next_page_begins_where_the_last_one_ended(node: Node) -> None:
    async with serve_routes(API, node) as server:
        seen, before = [], ""
        while True:
            page = (await server.client.get(f"/api/mpps?limit=1&PatientName=*jane{before}")).json()
            seen += [each["instance"] for each in page["steps"]]
            if not page["has_more"]:
                break
            before = f"&before={seen[-1]}"
        assert seen == ["1.3", "1.2", "1.1"]
        for wrong in ("before=1.9", "state=DONE", "limit=0", "Nonsense=1"):
            assert (await server.client.get(f"/api/mpps?{wrong}")).status_code == 400


@pytest.mark.anyio
async def test_a_step_is_discontinued_by_hand_once(node: Node) -> None:
    """PS3.4 F.7.2.2.3: it can be changed no more, by whoever ended it."""
    async with serve_routes(API, node) as server:
        ended = await server.client.post("/api/mpps/1.1/discontinue")
        assert (ended.status_code, ended.json()["state"]) == (200, "DISCONTINUED")
        assert (await server.client.post("/api/mpps/1.1/discontinue")).status_code == 409
        found = (await server.client.get("/api/mpps?state=DISCONTINUED")).json()["steps"]
        assert [each["instance"] for each in found] == ["1.1"]
    kinds = [event.kind.value for event in node.audit.events]  # type: ignore[attr-defined]
    assert kinds == ["mpps.discontinued", "mpps.viewed"]
    async with serve_routes(PAGES, node) as server:
        text = (await server.client.get("/ui/mpps/1.1")).text
        assert "&lt;b&gt;" in text
        assert "Discontinued" in text
        assert "/ui/mpps/1.1/discontinue" not in text
