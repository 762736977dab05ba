"""What the meter of a node promises."""

import math
import os

import pytest
from hypothesis import given, strategies as st

from pacs_core.contracts import MetricKind, NoMeter
from pacs_core.metering import MeterMemory, NodeMeter, clear_gauges, memory as memory_module


def metric(meter, name):
    return next(each for each in meter.collect() if each.name == name)


def in_another_process(work):
    """Run something in a process that shares the memory."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_counters_are_summed_over_workers_and_by_labels():
    memory = MeterMemory(3)
    meters = [NodeMeter(memory, worker) for worker in range(3)]
    for number, meter in enumerate(meters):
        sent = meter.counter("sent", "What was sent", unit="instances", labels=("peer",))
        sent.add(peer="A")
        sent.add(number, peer="B")
    for meter in meters:
        found = metric(meter, "sent")
        assert (found.kind, found.description, found.unit) == (
            MetricKind.COUNTER,
            "What was sent",
            "instances",
        )
        assert [(sample.labels, sample.value) for sample in found.samples] == [
            ({"peer": "A"}, 3.0),
            ({"peer": "B"}, 3.0),
        ]


def test_what_another_process_counts_is_collected_here():
    memory = MeterMemory(2)
    meter = NodeMeter(memory, 0)
    in_another_process(lambda: NodeMeter(memory, 1).counter("only_there").add(7))
    assert metric(meter, "only_there").samples[0].value == 7


def test_a_worker_that_is_restarted_counts_on_and_its_gauges_begin_anew():
    memory = MeterMemory(2)

    def work():
        meter = NodeMeter(memory, 1)
        meter.counter("count").add(2)
        meter.gauge("level").add(5)
        meter.histogram("size", buckets=(1, 10)).observe(4)

    in_another_process(work)
    here = NodeMeter(memory, 0)
    here.gauge("level").set(1)
    assert metric(here, "level").samples[0].value == 6
    in_another_process(work)
    assert metric(here, "level").samples[0].value == 6
    assert metric(here, "count").samples[0].value == 4
    assert metric(here, "size").samples[0].buckets == ((1, 0), (10, 2), (math.inf, 2))


@given(st.lists(st.integers(-1000, 1000), max_size=40))
def test_buckets_count_what_is_not_above_their_bound(values):
    meter, bounds = NodeMeter(), (-10, 0, 500)
    histogram = meter.histogram("size", buckets=bounds)
    for value in values:
        histogram.observe(value)
    samples = metric(meter, "size").samples
    assert len(samples) == bool(values)
    for sample in samples:
        assert sample.value == sum(values)
        assert sample.buckets == tuple(
            (bound, sum(value <= bound for value in values)) for bound in (*bounds, math.inf)
        )


@given(st.dictionaries(st.text(max_size=30), st.integers(1, 99), max_size=20))
def test_any_label_comes_back_as_it_was(counts):
    meter = NodeMeter()
    counter = meter.counter("seen", labels=("what",))
    for text, count in counts.items():
        counter.add(count, what=text)
    found = metric(meter, "seen").samples
    assert {sample.labels["what"]: sample.value for sample in found} == counts


def test_a_name_means_one_thing():
    meter = NodeMeter()
    counter = meter.counter("x", labels=("a",))
    assert meter.counter("x", labels=("a",)) is counter
    with pytest.raises(ValueError, match="another metric x, a counter"):
        meter.gauge("x", labels=("a",))
    with pytest.raises(ValueError, match="no name of a metric"):
        meter.counter("x-y")


def test_wrong_use_is_an_error():
    meter = NodeMeter()
    counter = meter.counter("x", labels=("a",))
    for labels in ({}, {"b": "1"}, {"a": "1", "b": "2"}):
        with pytest.raises(ValueError, match="has the labels a, not"):
            counter.add(1, **labels)
    with pytest.raises(ValueError, match="only grows"):
        counter.add(-1, a="1")
    for bounds in ((), (2, 1), (1, 1), (1, math.inf)):
        with pytest.raises(ValueError, match="must ascend"):
            meter.histogram("h", buckets=bounds)
    assert metric(meter, "x").samples == ()


def test_what_does_not_fit_is_logged_once_and_harms_nothing(monkeypatch, caplog):
    monkeypatch.setattr(memory_module, "_REGION", 4096)
    meter = NodeMeter(MeterMemory(2), 1)
    counter = meter.counter("many", labels=("number",))
    for number in range(200):
        counter.add(1, number=f"{number}")
    samples = metric(meter, "many").samples
    assert 20 < len(samples) < 200
    assert all(sample.value == 1 for sample in samples)
    assert caplog.text.count("the meter is full") == 1


def test_gauges_of_a_worker_that_died_are_not_told_any_more():
    memory = MeterMemory(2)
    meter = NodeMeter(memory, 0)

    def count():
        dying = NodeMeter(memory, 1)
        dying.gauge("running", labels=("peer",)).set(3, peer="ct")
        dying.counter("done").add(5)

    in_another_process(count)
    assert metric(meter, "running").samples[0].value == 3
    clear_gauges(memory, 1)
    assert metric(meter, "running").samples[0].value == 0
    assert metric(meter, "done").samples[0].value == 5


def test_a_node_without_a_meter_counts_nothing():
    meter = NoMeter()
    meter.counter("a").add(1)
    meter.gauge("b").set(1)
    meter.histogram("c").observe(1)
    assert meter.collect() == []
