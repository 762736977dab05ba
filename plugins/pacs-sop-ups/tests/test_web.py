"""UPS-RS: the contract of web routes, and the transactions of PS3.18 §11."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from attrs import evolve
from pacs_database.testing import open_database
from pacs_jobs.api import JobQueue
from pacs_jobs.database_queue import DatabaseJobQueue
from pacs_sop_ups import pacs_web_routes
from pacs_sop_ups.api import UnifiedProcedureSteps
from pacs_sop_ups.config import UpsConfig
from pacs_sop_ups.database_steps import DatabaseProcedureSteps
from pacs_sop_ups.sop_classes import UPS_FILTERED, UPS_GLOBAL
from pacs_sop_ups.steps import LABEL, PATIENT_ID, REASON, SOP_INSTANCE, STATE, TRANSACTION
from pacs_sop_ups.testing import performed_attributes, sample_attributes
from pacs_web.api import WebRoutesDescriptor
from pacs_web.testing import RunningServer, WebRoutesContract, serve_routes
from pacs_web.websocket_client import WebSocketClient, open_websocket

from pacs_core.contracts import Node, NodeSettings, Setup, SingleValue
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    Attributes,
    ElementSet,
    encode_elements,
    parse_attributes,
    tag_of,
)
from pacs_core.dataset.json_model import attributes_json
from pacs_core.dataset.xml_model import attributes_xml, read_xml
from pacs_core.testing.operations import MemoryAccessGuard, memory_node

CONFIG = UpsConfig(max_bytes=256 << 10)
WORKITEMS, CHANNEL = pacs_web_routes(Setup(NodeSettings(), {UpsConfig: CONFIG}))
PATIENT_NAME = tag_of("PatientName")
PATH, KNOWN, CLAIM = "/dicom-web/workitems", "1.2.3.1", "1.2.3.9"


@pytest.fixture
async def node(tmp_path: Path, anyio_backend: Any) -> AsyncIterator[Node]:
    async with open_database(tmp_path) as database:
        queue: JobQueue = DatabaseJobQueue(database)
        await queue.start()
        steps = DatabaseProcedureSteps(database, queue, CONFIG)
        await steps.start()
        await steps.create(KNOWN, {**sample_attributes(), PATIENT_ID: ("P1",)})
        node = memory_node(NodeSettings())
        node.capabilities.provide(UnifiedProcedureSteps, steps)
        yield node


class TestWorkitems(WebRoutesContract):
    @pytest.fixture
    def descriptor(self) -> WebRoutesDescriptor:
        return WORKITEMS

    @pytest.fixture
    def node(self, node: Node) -> Node:
        return node


@pytest.fixture
async def server(node: Node) -> AsyncIterator[RunningServer]:
    async with serve_routes(WORKITEMS, node) as server:
        yield server


pytestmark = pytest.mark.anyio


async def ask(
    server: RunningServer, method: str, path: str, attributes: Attributes | None = None
) -> Any:
    content = None if attributes is None else f"[{attributes_json(attributes)}]"
    headers = {"content-type": "application/dicom+json"} if content else {}
    return await server.client.request(method, f"{PATH}{path}", content=content, headers=headers)


async def status(
    server: RunningServer, method: str, path: str, attributes: Attributes | None = None
) -> int:
    return int((await ask(server, method, path, attributes)).status_code)


def state(word: str, transaction: str = CLAIM) -> Attributes:
    return {STATE: (word,), TRANSACTION: (transaction,)}


async def test_a_workitem_from_its_creation_to_its_end(server: RunningServer) -> None:
    created = await ask(server, "POST", "?1.2.3.4", sample_attributes())
    assert created.status_code == 201
    assert created.headers["location"].endswith(f"{PATH}/1.2.3.4")
    assert await status(server, "POST", "?workitem=1.2.3.4", sample_attributes()) == 409
    assert await status(server, "PUT", "/1.2.3.4/state", state("COMPLETED")) == 409
    assert await status(server, "PUT", "/1.2.3.4/state/ME", state("IN PROGRESS")) == 200
    again = await ask(server, "PUT", "/1.2.3.4/state/YOU", state("IN PROGRESS", "1.2.3.8"))
    assert (again.status_code, again.json()["dicom_status"]) == (409, "C302H")
    assert await status(server, "POST", "/1.2.3.4", {LABEL: ("y",)}) == 409
    assert await status(server, "PUT", "/1.2.3.4/state/ME", state("COMPLETED")) == 409
    done = performed_attributes()
    assert await status(server, "POST", f"/1.2.3.4?Transaction-uid={CLAIM}", done) == 200
    assert await status(server, "PUT", "/1.2.3.4/state/ME", state("COMPLETED")) == 200
    warned = await ask(server, "PUT", "/1.2.3.4/state/ME", state("COMPLETED"))
    assert warned.status_code == 200
    assert "already in the requested state of COMPLETED" in warned.headers["warning"]
    (found,) = (await ask(server, "GET", "/1.2.3.4")).json()
    assert found["00741000"]["Value"] == ["COMPLETED"]
    assert "00081195" not in found


@pytest.mark.parametrize(
    "query", [f"?transaction-uid={CLAIM}", f"?transaction={CLAIM}", f"?{CLAIM}", ""]
)
async def test_editions_of_the_standard_give_the_transaction_in_several_ways(
    server: RunningServer, query: str
) -> None:
    """§11.6.1; without a parameter it is in the dataset."""
    assert await status(server, "PUT", f"/{KNOWN}/state", state("IN_PROGRESS")) == 200
    own: Attributes = {LABEL: ("y",)} if query else {LABEL: ("y",), TRANSACTION: (CLAIM,)}
    assert await status(server, "POST", f"/{KNOWN}{query}", own) == 200


async def test_requests_to_cancel(server: RunningServer) -> None:
    assert await status(server, "POST", f"/{KNOWN}/cancelrequest", {REASON: ("typo",)}) == 202
    warned = await ask(server, "POST", f"/{KNOWN}/cancelrequest/ME")
    assert warned.status_code == 200
    assert "CANCELED" in warned.headers["warning"]
    created = await ask(server, "POST", "", sample_attributes())
    uid = created.headers["location"].rpartition("/")[2]
    assert await status(server, "PUT", f"/{uid}/state", state("IN PROGRESS")) == 200
    refused = await ask(server, "POST", f"/{uid}/cancelrequest")
    assert (refused.status_code, refused.json()["dicom_status"]) == (409, "C312H")


async def test_search(server: RunningServer) -> None:
    await ask(server, "POST", "?1.2.3.2", {**sample_attributes(), PATIENT_ID: ("P2",)})

    async def uids(query: str) -> list[str]:
        answer = await ask(server, "GET", query)
        return [each["00080018"]["Value"][0] for each in answer.json()]

    assert await uids("") == ["1.2.3.2", KNOWN]
    assert await uids("?00100020=P1") == await uids("?PatientID=P1") == [KNOWN]
    assert await uids("?ScheduledStationNameCodeSequence.CodeValue=1") == ["1.2.3.2", KNOWN]
    assert await uids("?offset=1&limit=5") == [KNOWN]
    assert await status(server, "GET", "?limit=1") == 206
    assert await status(server, "GET", "?ProcedureStepState=COMPLETED") == 204
    for wrong in ("?Nonsense=1", "?limit=x", "?ScheduledProcedureStepStartDateTime=1.x"):
        assert await status(server, "GET", wrong) == 400
    (lean,) = (await ask(server, "GET", "?PatientID=P1&includefield=PatientName")).json()
    assert lean.keys() == {"00080018", "00081190", "00100010", "00100020", "00741000"}
    assert lean["00081190"]["Value"][0].endswith(f"{PATH}/{KNOWN}")


def attributes_of(elements: ElementSet) -> Attributes:
    encoded = b"".join(encode_elements(elements, EXPLICIT_VR_LITTLE_ENDIAN))
    return parse_attributes(encoded, EXPLICIT_VR_LITTLE_ENDIAN)


def read_parts(response: Any) -> list[ElementSet]:
    """Return the datasets of a multipart response."""
    kind = response.headers["content-type"]
    assert kind.startswith('multipart/related; type="application/dicom+xml"; boundary=')
    delimiter = b"--" + kind.partition("boundary=")[2].encode()
    parts = response.content.split(delimiter)[1:-1]
    return [read_xml(part.partition(b"\r\n\r\n")[2].strip()) for part in parts]


async def test_workitems_in_xml(server: RunningServer) -> None:
    """PS3.19 A.1: one is as it is, those of a search are parts; JSON is had without asking."""
    name = "Müller^Jörg=Ж^Ж"
    model = attributes_xml({**sample_attributes(), PATIENT_NAME: (name,)})
    xml = {"content-type": "application/dicom+xml; charset=utf-8"}
    created = await server.client.post(f"{PATH}?1.2.3.4", content=model.encode(), headers=xml)
    assert created.status_code == 201
    claim = attributes_xml(state("IN PROGRESS")).encode()
    claimed = await server.client.put(f"{PATH}/1.2.3.4/state", content=claim, headers=xml)
    assert claimed.status_code == 200

    async def get(path: str, accept: str) -> Any:
        return await server.client.get(f"{PATH}{path}", headers={"accept": accept})

    one = await get("/1.2.3.4", "application/dicom+xml")
    assert one.headers["content-type"].startswith("application/dicom+xml")
    shown = attributes_of(read_xml(one.content))
    (found,) = (await get("/1.2.3.4", "*/*")).json()
    assert found["00100010"]["Value"] == [{"Alphabetic": "Müller^Jörg", "Ideographic": "Ж^Ж"}]
    assert (shown[PATIENT_NAME], shown[STATE]) == ((name,), ("IN PROGRESS",))
    assert {f"{tag:08X}" for tag in shown} == found.keys() | {"00080005"}
    parts = 'multipart/related; type="application/dicom+xml"'
    several = read_parts(await get("", f"{parts}, application/dicom+json;q=0.5"))
    uids = [attributes_of(each)[SOP_INSTANCE] for each in several]
    assert uids == [("1.2.3.4",), (KNOWN,)]
    assert len(read_parts(await get(f"/{KNOWN}", parts))) == 1
    assert (await get("", "application/dicom+xml")).status_code == 406
    assert (await get(f"/{KNOWN}", "text/html")).status_code == 406
    assert len(read_parts(await get(f"?accept={quote(parts)}", "*/*"))) == 2


async def test_what_other_archives_have_stumbled_over(server: RunningServer) -> None:
    """A UID as in N-CREATE, an object without an array, wrong VRs, any item, a space in a state."""
    (model,) = json.loads(f"[{attributes_json(sample_attributes())}]")
    stations = [{"00080100": {"vr": "SH", "Value": [f"DEVICE{n}"]}} for n in (1, 2)]
    for each in stations:
        each["00080102"], each["00080104"] = (
            {"vr": "SH", "Value": ["99TEST"]},
            {"vr": "LO", "Value": ["a device"]},
        )
    model["00001000"] = {"vr": "UI", "Value": ["1.2.3.5"]}
    model["00404025"] = {"vr": "SQ", "Value": stations}
    model["00404041"]["vr"] = "LO"
    headers = {"content-type": "application/json"}
    created = await server.client.post(PATH, content=json.dumps(model), headers=headers)
    assert created.status_code == 201
    assert created.headers["location"].endswith("/1.2.3.5")
    (found,) = (await ask(server, "GET", "/1.2.3.5")).json()
    assert found["00404041"] == {"vr": "CS", "Value": ["READY"]}
    for device in ("DEVICE1", "DEVICE2"):
        (found,) = (await ask(server, "GET", f"?00404025.00080100={device}")).json()
        assert found["00080018"]["Value"] == ["1.2.3.5"]
    empty = '{"00404018":{"vr":"SQ"},"00404005":{"vr":"DT","Value":[null]}}'
    edited = await server.client.post(f"{PATH}/1.2.3.5", content=empty, headers=headers)
    assert (edited.status_code, edited.json()["dicom_status"]) == (400, "0121H")
    assert await status(server, "PUT", "/1.2.3.5/state", state("IN PROGRESS")) == 200
    for space in ("%20", "+"):
        answer = await ask(server, "GET", f"?ProcedureStepState=IN{space}PROGRESS")
        assert [each["00080018"]["Value"] for each in answer.json()] == [["1.2.3.5"]]
    (lean,) = (await ask(server, "GET", "?includefield=00404025&WorklistLabel=*&limit=1")).json()
    assert "00404025" in lean


async def test_names_are_matched_literally(server: RunningServer) -> None:
    """PS3.18 §8.3.4.2: who asks for more is told so."""
    for query, wanted in (("?fuzzymatching=true", 200), ("?fuzzymatching=true&PatientID=X", 204)):
        answer = await ask(server, "GET", query)
        assert answer.status_code == wanted
        assert "Only literal matching has been performed" in answer.headers["warning"]
    assert "warning" not in (await ask(server, "GET", "?fuzzymatching=false")).headers
    assert await status(server, "GET", "?fuzzymatching=yes") == 400


async def test_subscriptions(server: RunningServer, node: Node) -> None:
    answer = await ask(server, "POST", f"/{UPS_GLOBAL}/subscribers/WEB?deletionlock=true")
    assert answer.status_code == 201
    assert answer.headers["content-location"].startswith("ws://")
    assert answer.headers["content-location"].endswith("/dicom-web/subscribers/WEB")
    filtered = f"/{UPS_FILTERED}/subscribers/SOME?PatientID=P9"
    assert await status(server, "POST", filtered) == 201
    assert await status(server, "POST", f"/{UPS_FILTERED}/subscribers/SOME?Nonsense=1") == 400
    assert await status(server, "POST", f"/{KNOWN}/subscribers/{'X' * 17}") == 400
    assert await status(server, "POST", "/1.2.3.7/subscribers/WEB") == 404
    for path in (
        f"/{UPS_FILTERED}/subscribers/SOME/suspend",
        f"/{UPS_GLOBAL}/subscribers/WEB/suspend",
        f"/{KNOWN}/subscribers/WEB",
    ):
        method = "POST" if path.endswith("suspend") else "DELETE"
        assert [await status(server, method, path) for _ in range(2)] == [200, 404]
    assert await status(server, "POST", f"/{KNOWN}/subscribers/WEB/suspend") == 400
    steps = node.find(UnifiedProcedureSteps)
    assert isinstance(steps, DatabaseProcedureSteps)
    assert [each.instance_uid for each in await steps.outbox.next("WEB")] == [KNOWN]


async def test_bodies_that_are_no_workitem(server: RunningServer) -> None:
    for content, kind, wanted in (
        ("[]", "application/dicom+json", 400),
        ('[{"00741000":{"vr":"CS","Value":["SCHEDULED"]}}]', "application/dicom+json", 400),
        ("[" * 10_000 + "]" * 10_000, "application/dicom+json", 400),
        ('{"00741210":{"vr":"SQ","Value":[' * 5_000 + "]}}" * 5_000, "application/dicom+json", 400),
        ("<x/>", "application/dicom+xml", 400),
        ('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "application/dicom+xml", 400),
        ("<x/>", 'multipart/related; type="application/dicom+xml"', 415),
        (json.dumps([{"00741210": {"vr": "SQ", "Value": [{}] * 60_000}}]), "", 413),
    ):
        headers = {"content-type": kind} if kind else {}
        response = await server.client.post(PATH, content=content, headers=headers)
        assert response.status_code == wanted, content[:50]
        assert await status(server, "GET", f"/{KNOWN}") == 200
    assert await status(server, "GET", "/nonsense") == 404


async def test_who_sees_what(node: Node) -> None:
    """To read and follow is a query, to change is workflow; what is hidden does not exist."""
    for method, path, action in (
        ("GET", "", "query"),
        ("GET", f"/{KNOWN}", "query"),
        ("POST", f"/{KNOWN}/subscribers/ME", "query"),
        ("DELETE", f"/{KNOWN}/subscribers/ME", "query"),
        ("POST", "", "workflow"),
        ("POST", f"/{KNOWN}", "workflow"),
        ("PUT", f"/{KNOWN}/state", "workflow"),
        ("POST", f"/{KNOWN}/cancelrequest", "workflow"),
    ):
        guard = MemoryAccessGuard(action)
        async with serve_routes(WORKITEMS, evolve(node, access=guard)) as server:
            assert await status(server, method, path, sample_attributes()) == 403
        assert [each.action for each in guard.asked] == [action]
    others = MemoryAccessGuard(restrictions=(SingleValue(PATIENT_ID, "P2"),))
    async with serve_routes(WORKITEMS, evolve(node, access=others)) as server:
        assert await status(server, "GET", f"/{KNOWN}") == 404
        assert await status(server, "PUT", f"/{KNOWN}/state", state("IN PROGRESS")) == 404
        assert await status(server, "POST", f"/{KNOWN}/subscribers/ME") == 404
        assert await status(server, "POST", "", sample_attributes()) == 403
        assert await status(server, "GET", "") == 204


async def heard(client: WebSocketClient) -> tuple[str, int, Any]:
    """Return instance, event type and the rest of the next event."""
    event = json.loads(await client.receive())
    assert event.pop("00000002")["Value"] == ["1.2.840.10008.5.1.4.34.6.1"]
    kind, uid = event.pop("00001002")["Value"][0], event.pop("00001000")["Value"][0]
    return uid, kind, event


async def test_events_reach_a_subscriber_that_was_away(node: Node) -> None:
    """PS3.18 §11.13; what happens while nobody is connected waits."""
    steps = node.find(UnifiedProcedureSteps)
    await steps.subscribe(UPS_GLOBAL, "WEB")
    path = "/dicom-web/subscribers/WEB"
    async with serve_routes(CHANNEL, node) as server:
        async with open_websocket(server.port, path) as client:
            assert client.status == 101
            uid, kind, said = await heard(client)
            assert (uid, kind, said["00741000"]["Value"]) == (KNOWN, 1, ["SCHEDULED"])
            await client.send("anything")
            await steps.change_state(KNOWN, "IN PROGRESS", CLAIM)
            assert (await heard(client))[2]["00741000"]["Value"] == ["IN PROGRESS"]
        await steps.request_cancel(KNOWN, {REASON: ("typo",)}, requestor="ME")
        async with open_websocket(server.port, path) as client:
            kind = 0
            while kind != 2:  # What was sent when it left may come again.
                uid, kind, said = await heard(client)
                assert (uid, kind in (1, 2)) == (KNOWN, True)
        assert (said["00741236"]["Value"], said["00741238"]["Value"]) == (["ME"], ["typo"])
    assert isinstance(steps, DatabaseProcedureSteps)
    left = await steps.outbox.next("WEB")
    assert [each.event.kind for each in left] in ([], [2])  # It left before that was noted.


async def test_who_may_not_open_a_channel(node: Node) -> None:
    steps = node.find(UnifiedProcedureSteps)
    path = "/dicom-web/subscribers/WEB"
    async with serve_routes(CHANNEL, node) as server:
        for wrong, headers, wanted in (
            (path, {"origin": "https://evil.example.org"}, 403),
            (f"/dicom-web/subscribers/{'X' * 17}", {}, 400),
            ("/dicom-web/nothing", {}, 403),
        ):
            async with open_websocket(server.port, wrong, headers) as client:
                assert client.status == wanted
        assert (await server.client.get(path)).status_code == 404
    denied = evolve(node, access=MemoryAccessGuard("query"))
    async with (
        serve_routes(CHANNEL, denied) as server,
        open_websocket(server.port, path) as client,
    ):
        assert client.status == 403
    await steps.create("1.2.3.2", {**sample_attributes(), PATIENT_ID: ("P2",)})
    await steps.subscribe(UPS_GLOBAL, "WEB")
    own = MemoryAccessGuard(restrictions=(SingleValue(PATIENT_ID, "P1"),))
    async with (
        serve_routes(CHANNEL, evolve(node, access=own)) as server,
        open_websocket(server.port, path) as client,
    ):
        assert (await heard(client))[0] == KNOWN
