"""What the meter has, as Prometheus reads it."""

from pacs_metrics.exposition import Collected
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from pacs_core.metering import MeterMemory, NodeMeter


def samples(families):
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_workers_are_summed_and_units_named_in_both_formats():
    memory = MeterMemory(workers=2)
    for worker in (0, 1):
        meter = NodeMeter(memory, worker)
        meter.counter("metrics_operations", "Ended", labels=("peer",)).add(3, peer='a"b\\\n')
        meter.gauge("forwarder_lanes").add(2)
        seconds = meter.histogram("forwarder_wait", unit="seconds", buckets=(0.5, 1))
        seconds.observe(0.7)
        seconds.observe(7)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collected(meter.collect()))
    expected = {
        ("pacs_operations_total", ("peer", 'a"b\\\n')): 6.0,
        ("pacs_forwarder_lanes",): 4.0,
        ("pacs_forwarder_wait_seconds_bucket", ("le", "0.5")): 0.0,
        ("pacs_forwarder_wait_seconds_bucket", ("le", "1.0")): 2.0,
        ("pacs_forwarder_wait_seconds_bucket", ("le", "+Inf")): 4.0,
        ("pacs_forwarder_wait_seconds_count",): 4.0,
        ("pacs_forwarder_wait_seconds_sum",): 15.4,
    }
    assert samples(parse(generate_latest(registry).decode())) == expected
    assert samples(parse_openmetrics(generate_openmetrics(registry).decode())) == expected
