"""Studies of a peer in the pages and the API: found there, retrieved, sent, and stopped midway."""

import io
import json
import threading
import time

import pydicom
import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
)

from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.peer_programs import find_free_port

from .conftest import run_web, wait_for
from .test_ui import PLUGINS, XSS, part10, studies, study_of, token_of, upload

FIND = StudyRootQueryRetrieveInformationModelFind
MOVE = StudyRootQueryRetrieveInformationModelMove
SLOW = 40
"""Instances of the study that comes slowly."""


@pytest.fixture(scope="module")
def port():
    """Where the node listens that queries: its peer must know it beforehand."""
    return find_free_port()


@pytest.fixture(scope="module")
def far(port, tmp_path_factory):
    """A node that is queried."""
    peers = {"near": {"ae_title": "NEAR", "host": "127.0.0.1", "port": port}}
    tables = {"node": {"port": 0, "ae_title": "FAR"}, "peers": peers}
    with run_web(tmp_path_factory.mktemp("far"), plugins=PLUGINS, **tables) as running:
        upload(running, study_of("Far^Away", PatientID="F1", StudyDate="20240131"))
        upload(running, study_of("Far^Else", PatientID="F2", StudyDate="20230131"))
        upload(running, study_of(f"{XSS}^Evil", PatientID="F3", StudyDescription=XSS))
        yield running


class Slowpoke:
    """A peer that takes and gives its instances slowly, and notices who stops it."""

    def __init__(self):
        self.received, self.sent = 0, 0
        self.cancelled = threading.Event()
        self.datasets = []
        self.ae = AE("SLOWPOKE")
        for context in (FIND, MOVE, CTImageStorage):
            self.ae.add_supported_context(context)
        self.ae.add_requested_context(CTImageStorage)
        handlers = [
            (evt.EVT_C_FIND, self.find), (evt.EVT_C_MOVE, self.move), (evt.EVT_C_STORE, self.store),
            (evt.EVT_DIMSE_RECV, self.hear)
        ]  # fmt: skip
        self.server = self.ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)

    @property
    def port(self):
        return self.server.socket.getsockname()[1]

    def find(self, event):
        identifier = event.identifier
        identifier.PatientName = "Slow^Poke"
        identifier.StudyInstanceUID = self.datasets[0].StudyInstanceUID
        yield 0xFF00, identifier

    def move(self, event):
        yield "127.0.0.1", self.near
        yield len(self.datasets)
        for dataset in self.datasets:
            if event.is_cancelled:
                yield 0xFE00, None
                return
            time.sleep(0.1)
            self.sent += 1
            yield 0xFF00, dataset

    def hear(self, event):
        if type(event.message).__name__ == "C_CANCEL_RQ":
            self.cancelled.set()

    def store(self, event):
        time.sleep(0.1)
        self.received += 1
        return 0x0000


@pytest.fixture(scope="module")
def slowpoke(port, pydicom_study):
    peer = Slowpoke()
    peer.near, peer.datasets = port, pydicom_study
    yield peer
    peer.server.shutdown()


@pytest.fixture(scope="module")
def pydicom_study():
    study = SampleStudy()
    return [
        pydicom.dcmread(io.BytesIO(part10(study.make("CT", PatientID="SLOW")))) for _ in range(SLOW)
    ]


@pytest.fixture(scope="module")
def near(far, slowpoke, port, tmp_path_factory):
    """A node that queries."""
    peers = {
        "far": {"ae_title": "FAR", "host": "127.0.0.1", "port": far.node.port},
        "slowpoke": {"ae_title": "SLOWPOKE", "host": "127.0.0.1", "port": slowpoke.port},
        "nobody": {"ae_title": "NOBODY", "host": "127.0.0.1", "port": 1},
    }
    tables = {"node": {"port": port, "ae_title": "NEAR"}, "peers": peers}
    with run_web(tmp_path_factory.mktemp("near"), plugins=PLUGINS, **tables) as running:
        yield running


def at_far(near, query=""):
    return near.get(f"/api/peers/far/studies?{query}").json()


@pytest.mark.parametrize(
    ("query", "ids"),
    [("", {"F1", "F2", "F3"}), ("PatientName=far", {"F1", "F2"}), ("PatientID=F2", {"F2"}),
     ("from=2024-01-01&to=2024-12-31&PatientID=F1", {"F1"}), ("PatientID=none", set())],
)  # fmt: skip
def test_studies_are_found_at_a_peer(near, query, ids):
    answer = at_far(near, query)
    assert {each["patient_id"] for each in answer["studies"]} == ids
    assert answer["complete"] is True
    page = near.get(f"/ui/query?peer=far&{query}")
    assert page.status_code == 200
    assert all(f"<td>{each}</td>" in page.text for each in ids)
    assert page.text.count("/retrieve") == len(ids)


def test_markup_from_a_peer_is_text(near):
    page = near.get("/ui/query?peer=far&PatientID=F3")
    assert XSS not in page.text
    assert "&lt;script&gt;" in page.text


def test_a_page_without_a_peer_asks_nobody(near):
    page = near.get("/ui/query").text
    assert "<option>far</option>" in page
    assert "Far" not in page.replace("far", "")


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [("peer=nobody", 502, "NOBODY@127.0.0.1:1"), ("peer=unknown", 404, "no such peer"),
     ("peer=far&from=nonsense", 400, ""), (f"peer=far&PatientName={'x' * 300}", 400, "200")],
)  # fmt: skip
def test_what_cannot_be_asked_is_said(near, query, status, words):
    page = near.get(f"/ui/query?{query}")
    assert page.status_code == 200
    assert 'role="alert"' in page.text
    assert words in page.text
    name, _, rest = query.removeprefix("peer=").partition("&")
    answer = near.get(f"/api/peers/{name}/studies?{rest}")
    assert answer.status_code == status, answer.text
    assert near.get("/api/peers/far/studies?patientid=F1").status_code == 400


def test_a_study_is_retrieved_by_hand(near):
    (there,) = at_far(near, "PatientID=F1")["studies"]
    uid = there["study_instance_uid"]
    with near.client() as client:
        token = token_of(client.get("/ui/query?peer=far"))
        for wrong in ({}, {"csrf": "x"}):
            answer = client.post("/ui/peers/far/retrieve", data={"study": uid} | wrong)
            assert answer.status_code == 403
        page = client.post("/ui/peers/far/retrieve", data={"csrf": token, "study": uid})
        assert "2 / 2 retrieved" in page.text
        assert "Done" in page.text
        assert "Far, Away" in page.text
        missing = client.post("/ui/peers/far/retrieve", data={"csrf": token, "study": "1.2.3"})
        assert missing.status_code == 404
        odd = client.post("/ui/peers/far/retrieve", data={"csrf": token, "study": "../x"})
        assert odd.status_code == 400
        assert odd.headers["content-type"].startswith("text/html")
    (here,) = studies(near, "PatientID=F1")["studies"]
    assert here["number_of_study_related_instances"] == 2
    assert f'href="/ui/studies/{uid}"' in near.get("/ui/query?peer=far&PatientID=F1").text


def test_a_series_is_retrieved_by_the_api(near, far):
    (there,) = at_far(near, "PatientID=F2")["studies"]
    uid = there["study_instance_uid"]
    (series,) = far.get(f"/api/studies/{uid}/series").json()
    at = f"/api/peers/far/retrieve?study={uid}&series={series['series_instance_uid']}"
    with near.client() as client:
        report = client.post(at).json()
        lines = client.post(at, headers={"accept": "application/jsonl"}).text.splitlines()
        assert client.post("/api/peers/far/retrieve?study=x").status_code == 400
    assert report == {"total": 2, "arrived": 2, "failed": 0, "reasons": []}
    assert json.loads(lines[-1]) == report


def test_a_peer_that_cannot_be_reached_is_a_reason(near):
    with near.client() as client:
        report = client.post("/api/peers/nobody/retrieve?study=1.2.3").json()
    assert (report["arrived"], len(report["reasons"])) == (0, 1)
    assert "NOBODY@127.0.0.1:1" in report["reasons"][0]


def test_whoever_leaves_the_page_cancels_the_retrieval(near, slowpoke):
    uid = slowpoke.datasets[0].StudyInstanceUID
    with near.client() as client:
        token = token_of(client.get("/ui/query?peer=far"))
        form = {"csrf": token, "study": uid}
        with client.stream("POST", "/ui/peers/slowpoke/retrieve", data=form) as page:
            for text in page.iter_text():
                if f" / {SLOW} retrieved" in text:
                    break
    assert slowpoke.cancelled.wait(20)
    wait_for(lambda: "A1: released" in near.log or "A1: aborted" in near.log, "it goes on")
    assert slowpoke.sent < SLOW
    assert near.is_healthy()


def test_whoever_leaves_stops_sending(near, slowpoke):
    study = SampleStudy()
    upload(near, [study.make("CT", PatientID="S1") for _ in range(SLOW)])
    (found,) = studies(near, "PatientID=S1")["studies"]
    at = f"/api/studies/{found['study_instance_uid']}/send?peer=slowpoke"
    headers = {"accept": "application/jsonl"}
    with near.client() as client, client.stream("POST", at, headers=headers) as answer:
        first = json.loads(next(answer.iter_lines()))
    assert first["total"] == SLOW
    before = -1
    while before != slowpoke.received:
        before = slowpoke.received
        time.sleep(0.5)
    assert 0 < slowpoke.received < SLOW
    assert near.is_healthy()


def test_what_is_asked_of_peers_is_audited(near):
    def events(kind):
        files = near.node.data_directory.rglob("*.jsonl")
        lines = [json.loads(line) for each in files for line in each.read_text().splitlines()]
        return [each for each in lines if each["event"] == kind]

    at_far(near, "PatientID=F1")
    asked = wait_for(lambda: events("web-ui.peer-queried"), "no event")
    assert {"peer": "far", "PatientID": "F1"} in [each["details"] for each in asked]
