"""A real Prometheus scrapes a node of two workers, of which one dies, and adds up right."""

import os
import re
import signal
import subprocess

import httpx
import pytest

from pacs_core.association import Proposal, connect
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import node_process
from pacs_core.testing.peer_programs import find_free_port

from .monitoring import PATIENCE, prometheus, wait_for

pytestmark = [pytest.mark.anyio, pytest.mark.peer("prometheus")]

ARCHIVE = (
    "store-filesystem",
    "index-sqlite",
    "sop-storage",
    "sop-verification",
    "audit-json",
    "web",
    "metrics",
    "jobs",
    "database",
)


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    tables = {
        "node": {"port": 0, "workers": 2},
        "plugin": {"web": {"port": find_free_port()}, "metrics": {}, "jobs": {}},
        "peers": {"ct": {"ae_title": "CT1", "host": "127.0.0.1", "port": 104}},
    }
    tables["node"]["data_directory"] = str(data := tmp_path_factory.mktemp("metrics"))
    with node_process(data, tables, plugins=ARCHIVE) as running:
        yield running


@pytest.fixture(scope="module")
def url(node):
    return re.search(r"http://127\.0\.0\.1:\d+", node.process.stdout.readline())[0]


@pytest.fixture
def ask(url, tmp_path):
    """Return a function that asks a Prometheus that scrapes the node."""
    with prometheus(url[7:], tmp_path) as running:
        yield running.value


async def store(node, title, number):
    """Store instances, each on an association of its own, so that both workers get some."""
    study = SampleStudy()
    for dataset in [study.make("CT") for _ in range(number)]:
        proposals = [Proposal(dataset.sop_class_uid)]
        async with connect(node.peer, proposals, calling_ae_title=title) as association:
            sent = dataset.encode()
            answer = await association.c_store(
                dataset.sop_class_uid, dataset.sop_instance_uid, sent
            )
            assert answer.status == 0x0000


async def test_it_counts_what_was_stored_by_all_workers_and_loses_nothing(node, ask):
    await store(node, "CT1", 7)
    for number in range(5):
        await store(node, f"STRANGER{number}", 1)
    stored = 'pacs_operations_total{operation="C-STORE",status="0000",peer="%s"}'
    wait_for(lambda: ask(stored % "ct") == 7)
    wait_for(lambda: ask(stored % "other") == 5)
    wait_for(lambda: ask("min(pacs_health)") == 1)
    assert ask("pacs_workers") == 2
    assert ask("count(pacs_process_resident_memory_bytes > 1e7)") == 2
    assert ask("pacs_disk_free_bytes > 0")
    assert ask("sum(pacs_associations_total)") == 12
    wait_for(lambda: ask("sum(pacs_associations_established)") == 0)

    # One of the workers dies: what it has counted stays.
    os.kill(workers_of(node)[-1], signal.SIGKILL)
    await store(node, "CT1", 2)
    wait_for(lambda: ask(stored % "ct") == 9)
    assert ask(stored % "other") == 5


def test_the_page_is_as_the_tool_of_prometheus_wants_it(url):
    for accept in ("text/plain", "application/openmetrics-text"):
        page = httpx.get(f"{url}/metrics", headers={"accept": accept}, timeout=PATIENCE)
        assert page.headers["content-type"].startswith(accept)
    page = httpx.get(f"{url}/metrics", timeout=PATIENCE)
    told = subprocess.run(
        ["promtool", "check", "metrics"], input=page.text, capture_output=True, text=True
    )
    assert (told.returncode, told.stdout + told.stderr) == (0, "")


def workers_of(node):
    command = ["pgrep", "--parent", str(node.process.pid)]
    return [int(word) for word in subprocess.check_output(command, text=True).split()]
