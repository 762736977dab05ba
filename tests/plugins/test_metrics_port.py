"""A node without a web server, of two workers, whose metrics are scraped at a port of their own."""

import re

import anyio
import httpx
import pytest

from pacs_core import connect
from pacs_core.association import Proposal
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import node_process
from pacs_core.testing.waiting import until

PLUGINS = (
    "store-filesystem", "index-sqlite", "sop-storage", "sop-verification", "audit-json", "metrics",
)  # fmt: skip


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    tables = {"node": {"workers": 2}, "plugin": {"metrics": {"port": 0}}}
    with node_process(tmp_path_factory.mktemp("node"), tables, plugins=PLUGINS) as running:
        yield running


@pytest.fixture(scope="module")
def scrape(node):
    """Return a function that reads the metrics: values by name and labels."""
    url = re.search(r"metrics: (http://\S+)", node.process.stdout.readline())[1]

    def ask():
        lines = httpx.get(url, timeout=30).text.splitlines()
        rows = [line.rpartition(" ") for line in lines if not line.startswith("#")]
        return {name: float(value) for name, _, value in rows}

    return ask


def store(node, *samples, title="CT1"):
    async def send():
        proposal = Proposal(samples[0].sop_class_uid, (EXPLICIT_VR_LITTLE_ENDIAN,))
        async with connect(node.peer, [proposal], calling_ae_title=title) as association:
            return [
                (await association.c_store(s.sop_class_uid, s.sop_instance_uid, s.encode())).status
                for s in samples
            ]

    return anyio.run(send)


def test_stages_are_summed_over_workers(node, scrape):
    study = SampleStudy()
    samples = [study.make("CT") for _ in range(8)]
    for sample in samples:  # on either worker
        assert store(node, sample) == [0]
    assert store(node, samples[0]) == [0]  # the same again
    found = scrape()
    assert found['pacs_ingest_instances_total{outcome="stored"}'] == 8
    assert found['pacs_ingest_instances_total{outcome="identical"}'] == 1
    count = 'pacs_ingest_stage_seconds_count{{stage="{}"}}'
    assert found["pacs_ingest_seconds_count"] == 9
    for stage, times in {"receive": 9, "scan": 9, "locate": 9, "commit": 8, "index": 8}.items():
        assert found[count.format(stage)] == times, stage
    total = 'pacs_ingest_stage_seconds_sum{{stage="{}"}}'
    stages = sum(found[total.format(each)] for each in ("receive", "scan", "commit", "index"))
    assert 0 < stages <= found["pacs_ingest_seconds_sum"]


def test_fifty_ae_titles_make_no_more_series_than_one(node, scrape):
    sample = SampleStudy().make("CT")
    for _ in range(2):  # stored, then identical
        store(node, sample)
    lag = 'pacs_event_loop_lag_seconds_count{{worker="{}"}}'  # each worker's first comes with time
    until(lambda: {lag.format(0), lag.format(1)} <= scrape().keys())
    before = scrape().keys()
    for number in range(50):
        store(node, sample, title=f"STRANGER{number}")
    assert scrape().keys() <= before
    assert 'peer="other"' in "".join(before)


def test_what_is_sampled_is_there_without_a_web_server(scrape):
    until(lambda: scrape().get('pacs_health{check="store"}') == 1.0)
    found = scrape()
    assert found["pacs_workers"] == 2
    kept = [name for name in found if name.startswith("pacs_queue_oldest_seconds")]
    assert {'kind="audit"' in name for name in kept} >= {True}
