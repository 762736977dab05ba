"""The contract of web routes, for API and pages of the list; and for whom which steps exist."""

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest
from attrs import evolve
from pacs_database.testing import open_database
from pacs_sop_worklist import pacs_web_routes
from pacs_sop_worklist.api import Worklist, steps_of
from pacs_sop_worklist.database_worklist import DatabaseWorklist
from pacs_sop_worklist.orders import make_order
from pacs_sop_worklist.steps import InvalidStepError
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
from pacs_core.dataset import Attributes, tag_of
from pacs_core.dataset.json_model import attributes_json
from pacs_core.testing.operations import MemoryAccessGuard, memory_node

API, PAGES = pacs_web_routes(Setup(NodeSettings()))
CT_ONLY = (SingleValue(tag_of("Modality"), "CT"),)
MORNING = datetime(2099, 1, 31, 9, 30)


def order(modality: str, study: str, name: str = "Doe^Jane") -> Attributes:
    return make_order("4711", name, modality, MORNING, study=study, accession="A1")


@pytest.fixture
async def node(tmp_path: Path, anyio_backend: Any) -> AsyncIterator[Node]:
    """A node with a user interface, and the steps 1 of CT and 2 of MR."""
    async with open_database(tmp_path) as database:
        worklist = DatabaseWorklist(database)
        await worklist.start()
        for modality, study in (("CT", "1.2.3"), ("MR", "1.2.4")):
            await worklist.put(list(steps_of(order(modality, study, "<b>^Jane"))), "test")
        node = memory_node(NodeSettings())
        node.capabilities.provide(Worklist, worklist)
        node.capabilities.provide(PageFrame, TemplateFrame(WebUiSettings()))
        yield node


FORM = b"csrf=form&family_name=Doe&patient_id=4711&modality=CT&start=2099-01-31T09:30"
ORDER = attributes_json(order("CT", "1.2.9")).encode()


class TestRoutes(GuardedRoutesContract):
    actions: ClassVar = {
        "GET /api/worklist": "query",
        "GET /api/worklist/{number}": "query",
        "POST /api/worklist": "workflow",
        "POST /api/worklist/{number}/cancel": "workflow",
        "GET /ui/worklist": "query",
        "GET /ui/worklist/{number}": "query",
        "GET /ui/worklist/add": "workflow",
        "POST /ui/worklist/add": "workflow",
        "POST /ui/worklist/{number}/cancel": "workflow",
    }
    untold = "Jane"

    @pytest.fixture(params=[API, PAGES], ids=["api", "pages"])
    def descriptor(self, request: pytest.FixtureRequest) -> WebRoutesDescriptor:
        descriptor: WebRoutesDescriptor = request.param
        return descriptor

    @pytest.fixture
    def node(self, node: Node) -> Node:
        return node

    def request(self, path: str) -> tuple[dict[str, str], bytes]:
        return {"cookie": "pacs_csrf=form"}, FORM if path.startswith("/ui") else ORDER

    async def state(self, node: Node) -> object:
        worklist = node.find(Worklist)
        return [(listed.number, listed.step.state) async for listed in worklist.search([])]


@pytest.mark.anyio
async def test_what_is_hidden_does_not_exist(node: Node) -> None:
    """It is neither seen nor cancelled, and no order that is sent takes its place."""
    restricted = evolve(node, access=MemoryAccessGuard(restrictions=CT_ONLY))
    async with serve_routes(API, restricted) as server:
        found = (await server.client.get("/api/worklist")).json()
        assert [each["number"] for each in found["steps"]] == [1]
        hidden = await server.client.get("/api/worklist/2")
        missing = await server.client.get("/api/worklist/3")
        assert hidden.status_code == missing.status_code == 404
        assert hidden.json()["detail"] == missing.json()["detail"]
        assert (await server.client.post("/api/worklist/2/cancel")).status_code == 404
        # The MR, called a CT: the same study, procedure and step.
        for entry in (order("CT", "1.2.4"), order("MR", "1.2.5")):
            refused = await server.client.post("/api/worklist", content=attributes_json(entry))
            assert refused.status_code == 403
            assert refused.json()["detail"] == "the step is not one that may be scheduled"
        body = attributes_json(order("CT", "1.2.6"))
        added = await server.client.post("/api/worklist", content=body)
        assert (added.status_code, added.json()) == (201, {"numbers": [3]})
    async with serve_routes(PAGES, restricted) as server:
        assert "/ui/worklist/2" not in (await server.client.get("/ui/worklist/")).text
        assert (await server.client.get("/ui/worklist/2")).status_code == 404
    assert (await node.find(Worklist).find(2)).step.item[tag_of("Modality")] == ("MR",)


@pytest.mark.anyio
async def test_the_next_page_begins_where_the_last_one_ended(node: Node) -> None:
    early = make_order("1", "Ant^A", "CT", datetime(2098, 1, 1), study="1.2.5")
    await node.find(Worklist).put(list(steps_of(early)), "test")
    async with serve_routes(API, node) as server:
        seen, after = [], ""
        while True:
            page = (await server.client.get(f"/api/worklist?limit=1{after}")).json()
            seen += [each["number"] for each in page["steps"]]
            if not page["has_more"]:
                break
            after = f"&after={seen[-1]}"
        assert seen == [3, 1, 2]
        for wrong in ("after=99", "after=x"):
            assert (await server.client.get(f"/api/worklist?{wrong}")).status_code == 400
    restricted = evolve(node, access=MemoryAccessGuard(restrictions=CT_ONLY))
    async with serve_routes(API, restricted) as server:  # 2 is of MR
        assert (await server.client.get("/api/worklist?after=2")).status_code == 400


@pytest.mark.anyio
async def test_without_a_user_interface_there_are_no_pages() -> None:
    async with serve_routes(PAGES) as server:
        assert server.routes == ()


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"patient_id": "x" * 65}, "PatientID"),
        ({"patient_id": "a\\b"}, "PatientID"),
        ({"patient_name": "Doe\nJane"}, "PatientName"),
        ({"patient_name": "x" * 65}, "PatientName"),
        ({"modality": "ct"}, "Modality"),
        ({"birth_date": "20250230"}, "PatientBirthDate"),
        ({"birth_date": "2025-02-01"}, "PatientBirthDate"),
        ({"stations": ("A" * 17,)}, "ScheduledStationAETitle"),
        ({"accession": "x" * 17}, "AccessionNumber"),
        ({"study": "1..2"}, "StudyInstanceUID"),
    ],
)
def test_an_order_has_what_its_attributes_can_hold(values: dict[str, Any], named: str) -> None:
    """PS3.5 Table 6.2-1: else no modality could read the entry."""
    given = {"patient_id": "1", "patient_name": "Doe", "modality": "CT", "start": MORNING}
    with pytest.raises(InvalidStepError, match=named):
        make_order(**{**given, **values})
