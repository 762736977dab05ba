"""A node of two workers tells a collector what it does, from associations to the disk."""

import json
import re
import socket
import time
from collections import Counter

import anyio
import httpx
import pytest

from pacs_core import connect
from pacs_core.association import Proposal
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, tag_of
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import node_process
from pacs_core.testing.waiting import until

PLUGINS = (
    "store-filesystem", "index-sqlite", "sop-storage", "sop-verification", "sop-query-retrieve",
    "audit-json", "web", "dicomweb", "tracing",
)  # fmt: skip
ARCHIVE = (*PLUGINS[:3], "audit-json", "tracing")
CLIENT, SERVER = 3, 2
PARENT = f"00-{'ab' * 16}-{'cd' * 8}-01"


@pytest.fixture(scope="module")
def collector(run_collector):
    with run_collector() as running:
        yield running


@pytest.fixture(scope="module")
def node(collector, tmp_path_factory):
    folder = tmp_path_factory.mktemp("node")
    (folder / "token").write_text("s3cret")
    tracing = {
        "endpoint": collector.url,
        "headers": {"authorization": {"file": str(folder / "token")}},
    }
    tables = {
        "node": {"workers": 2},
        "log": {"level": "info", "format": "json"},
        "plugin": {"web": {"port": 0}, "tracing": tracing},
    }
    with node_process(folder, tables, plugins=PLUGINS) as running:
        yield running


@pytest.fixture(scope="module")
def url(node):
    return re.search(r"http://127\.0\.0\.1:\d+", node.process.stdout.readline())[0]


def store(node, *samples):
    async def send():
        proposal = Proposal(samples[0].sop_class_uid, (EXPLICIT_VR_LITTLE_ENDIAN,))
        async with connect(node.peer, [proposal]) as association:
            for each in samples:
                await association.c_store(each.sop_class_uid, each.sop_instance_uid, each.encode())

    anyio.run(send)


def of_association(collector, operations):
    """Return the association with so many operations, once it was told of, and these."""
    found = {}

    def look():
        for each in collector.named("association"):
            parts = [part for part in collector.children(each) if part.name == "C-STORE"]
            if len(parts) == operations:
                found["it"] = each, parts
        return found

    until(look)
    return found["it"]


def test_an_association_down_to_the_disk(node, collector):
    study = SampleStudy()
    store(node, *(study.make("CT") for _ in range(3)))
    association, operations = of_association(collector, 3)
    assert association.kind == SERVER
    assert association.parent == ""
    assert association.attributes["dicom.called_ae_title"] == "PACS"
    assert association.attributes["dicom.association.end"].startswith("released")
    for operation in operations:
        assert operation.attributes["dicom.status"] == "0000"
        (ingest,) = collector.children(operation)
        assert ingest.name == "ingest"
        assert ingest.attributes["pacs.outcome"] == "stored"
        stages = {each.name: each for each in collector.children(ingest)}
        assert set(stages) >= {
            "ingest receive", "ingest scan", "ingest locate", "ingest commit", "ingest index",
        }  # fmt: skip
        for each in stages.values():
            assert operation.trace == each.trace == association.trace
            assert ingest.began <= each.began <= each.ended <= ingest.ended + 1_000_000
        assert stages["ingest commit"].ended <= stages["ingest index"].began + 1_000_000
        assert association.began <= operation.began <= operation.ended <= association.ended
    assert "dicom.sop_instance_uid" not in str([each.attributes for each in collector.spans])


def test_a_failure_is_told(node, collector):
    sample = SampleStudy().make("CT")

    async def send():
        proposal = Proposal(sample.sop_class_uid, (EXPLICIT_VR_LITTLE_ENDIAN,))
        async with connect(node.peer, [proposal]) as association:
            return await association.c_store(sample.sop_class_uid, "2.25.7", sample.encode())

    assert anyio.run(send).status == 0xA900
    until(lambda: [each for each in collector.named("C-STORE") if each.failed])
    (failed,) = (each for each in collector.named("C-STORE") if each.failed)
    until(lambda: collector.children(failed))
    (ingest,) = collector.children(failed)
    assert ingest.failed
    assert failed.attributes["dicom.status"] == "A900"


def test_a_request_goes_on_with_the_trace_of_its_caller(node, collector, url):
    samples = [SampleStudy().make("CT")]
    store(node, *samples)
    headers = {"traceparent": PARENT, "x-request-id": "r-1", "accept": "application/dicom+json"}
    answer = httpx.get(f"{url}/dicom-web/studies", headers=headers, timeout=60)
    assert answer.status_code == 200

    def told():
        return [each for each in collector.named("GET") if each.trace == "ab" * 16]

    until(told)
    (span,) = told()
    assert span.kind == SERVER
    assert span.parent == "cd" * 8
    assert span.attributes["http.response.status_code"] == 200
    entries = [json.loads(line) for line in node.log.read_text().splitlines()]
    (entry,) = (each for each in entries if each.get("correlation") == "r-1")
    assert entry["trace_id"] == "ab" * 16


def test_all_workers_tell_and_say_who_they_are(node, collector):
    for _ in range(8):
        store(node, SampleStudy().make("CT"))
    until(lambda: len({each.resource["pacs.worker"] for each in collector.spans}) == 2)
    assert {each.resource["service.name"] for each in collector.spans} == {"pacs"}
    assert len({each.resource["service.instance.id"] for each in collector.spans}) == 2
    assert Counter(each["authorization"] for each in collector.headers).keys() == {"s3cret"}


def test_what_is_left_is_sent_when_the_node_ends(tmp_path, run_collector):
    with run_collector() as collector:
        tables = {"plugin": {"tracing": {"endpoint": collector.url}}}
        with node_process(tmp_path, tables, plugins=ARCHIVE) as node:
            store(node, SampleStudy().make("CT"))
            assert node.stop() == 0
        assert collector.named("association")
        assert collector.named("ingest commit")


@pytest.mark.parametrize("collector_is", ["away", "deaf"])
def test_a_collector_that_is_away_costs_spans_and_no_requests(tmp_path, collector_is):
    with socket.create_server(("127.0.0.1", 0)) as listening:  # accepts, and never answers
        port = listening.getsockname()[1]
        if collector_is == "away":
            listening.close()
        endpoint = f"http://127.0.0.1:{port}/v1/traces"
        tables = {
            "log": {"level": "warning"},
            "plugin": {"tracing": {"endpoint": endpoint, "queue": 512, "timeout": 60.0}},
        }
        with node_process(tmp_path, tables, plugins=ARCHIVE) as node:
            study = SampleStudy()
            store(node, *(study.make("CT") for _ in range(150)))  # 8 spans each
            assert len(list(tmp_path.rglob("*.dcm"))) == 150
            began = time.monotonic()
            assert node.stop() == 0
            assert time.monotonic() - began < 40
        assert "did not take the last spans" in node.log.read_text()


def test_sub_operations_are_parts_of_what_asked_for_them(node, collector):
    study = SampleStudy()
    sample = study.make("CT")
    store(node, sample)
    get = "1.2.840.10008.5.1.4.1.2.2.3"
    asked = {
        tag_of("QueryRetrieveLevel"): ("STUDY",),
        tag_of("StudyInstanceUID"): (sample.values["StudyInstanceUID"],),
    }

    async def receive(operation):
        async for _ in operation.dataset:
            pass
        return 0x0000

    async def ask():
        syntaxes = (EXPLICIT_VR_LITTLE_ENDIAN,)
        back = Proposal(sample.sop_class_uid, syntaxes, scu=False, scp=True)
        async with connect(node.peer, [Proposal(get), back]) as association:
            async for _ in association.c_get(get, asked, receive):
                pass

    anyio.run(ask)
    until(lambda: collector.named("C-GET"))
    (operation,) = collector.named("C-GET")
    until(lambda: collector.children(operation))
    (sent,) = collector.children(operation)
    assert (sent.name, sent.kind) == ("C-STORE", CLIENT)
    assert sent.attributes["dicom.status"] == "0000"
    assert sent.attributes["dicom.bytes_sent"] > 0
