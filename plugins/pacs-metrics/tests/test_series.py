"""However many AE titles, statuses and instances there are, there are few series."""

from types import SimpleNamespace

import pytest
from pacs_metrics.counting import AssociationCounter, IngestCounter, OperationCounter

from pacs_core.contracts import (
    IngestOutcome,
    IngestStage,
    NodeSettings,
    ObservedIngest,
    OperationEnd,
    Origin,
    Peer,
    StageTime,
)
from pacs_core.dimse import CommandField
from pacs_core.metering import NodeMeter

pytestmark = pytest.mark.anyio


@pytest.fixture
def node():
    peers = {"ct": Peer("CT1", "192.0.2.1", 104)}
    return SimpleNamespace(settings=NodeSettings(peers=peers), meter=NodeMeter())


def series(node):
    return sum(
        len(metric.samples) * max(len(sample.buckets), 1)
        for metric in node.meter.collect()
        for sample in metric.samples[:1]
    )


async def use(node, titles):
    """Let so many AE titles associate, and ask for things, with every status that there can be."""
    associations, operations = AssociationCounter(node), OperationCounter(node)
    for number in range(titles):
        origin = Origin("DIMSE", calling_ae_title=f"AE{number}", called_ae_title="PACS")
        info = SimpleNamespace(id=f"A{number}", origin=origin, is_requestor=False)
        await associations.accepted(info)
        command = SimpleNamespace(field=CommandField.C_STORE_RQ)
        operation = SimpleNamespace(association=info, command=command, is_invoked_here=False)
        operations.ended(operation, OperationEnd(number * 61 % 0x10000, number, number, 0.1))
        await associations.ended(info, "released")


async def test_a_thousand_ae_titles_make_as_many_series_as_two(node):
    await use(node, 1000)
    peers = {
        sample.labels["peer"]
        for metric in node.meter.collect()
        for sample in metric.samples
        if "peer" in sample.labels
    }
    assert peers == {"other"}
    assert series(node) < 150


def test_instances_have_labels_for_stages_and_outcomes_alone(node):
    counter = IngestCounter(node)
    outcomes = [*IngestOutcome, None]
    for number in range(1000):
        outcome = outcomes[number % len(outcomes)]
        result = outcome and SimpleNamespace(outcome=outcome, instance=SimpleNamespace(size=10))
        stages = [StageTime(stage, 0.0, 1.0, 0.001) for stage in IngestStage]
        origin = Origin("DIMSE", calling_ae_title=f"AE{number}")
        counter.ingested(ObservedIngest(origin, f"2.25.{number}", result, None, 0, 1, stages))
    found = {metric.name: metric for metric in node.meter.collect()}
    told = {s.labels["outcome"]: s.value for s in found["metrics_ingest_instances"].samples}
    assert told.keys() == {*(each.value for each in IngestOutcome), "failed"}
    assert sum(told.values()) == 1000
    stages = {s.labels["stage"] for s in found["metrics_ingest_stage_seconds"].samples}
    assert stages == {each.value for each in IngestStage}
    assert series(node) < 200
