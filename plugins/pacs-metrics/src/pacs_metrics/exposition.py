"""Forms of the meter that Prometheus reads: its text format, and OpenMetrics 1.0."""

from collections.abc import Iterable, Iterator
from math import inf
from typing import TYPE_CHECKING

from attrs import frozen

from pacs_core.contracts import Meter, Metric, MetricKind

if TYPE_CHECKING:
    from prometheus_client import Metric as Family


def expose(meter: Meter, accept: str) -> tuple[bytes, str]:
    """Return all metrics in the form that a scraper prefers, and its media type.

    Parameters
    ----------
    meter : Meter
    accept : str
        The header of the request.
    """
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import choose_encoder

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collected(meter.collect()))
    encode, media_type = choose_encoder(accept)
    return encode(registry), media_type


@frozen(eq=False)
class Collected:
    """Metrics of the node, as a collector of the client library."""

    metrics: Iterable[Metric]

    def collect(self) -> "Iterator[Family]":
        """Yield a family for each metric."""
        from prometheus_client.core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        for metric in self.metrics:
            name, help_text = name_of(metric), metric.description or metric.name
            labels = list(metric.samples[0].labels) if metric.samples else []
            if metric.kind is MetricKind.HISTOGRAM:
                histogram = HistogramMetricFamily(name, help_text, labels=labels)
                for sample in metric.samples:
                    buckets = [(_bound(bound), n) for bound, n in sample.buckets]
                    histogram.add_metric(list(sample.labels.values()), buckets, sample.value)
                yield histogram
            else:
                make = (
                    CounterMetricFamily if metric.kind is MetricKind.COUNTER else GaugeMetricFamily
                )
                family = make(name, help_text, labels=labels)
                for sample in metric.samples:
                    family.add_metric(list(sample.labels.values()), sample.value)
                yield family


def _bound(bound: float) -> str:
    return "+Inf" if bound == inf else str(bound)


def name_of(metric: Metric) -> str:
    """Return the name for Prometheus: of the whole node, and ending with the unit."""
    name = f"pacs_{metric.name.removeprefix('metrics_')}"
    return name if name.endswith(metric.unit) else f"{name}_{metric.unit}"
