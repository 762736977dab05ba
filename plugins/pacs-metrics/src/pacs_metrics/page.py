"""``/metrics``: what the meter has, in the form that Prometheus reads.

In its text format or as OpenMetrics 1.0, as the scraper prefers; for those who may do
``metrics.read``.
"""

from collections.abc import Iterable, Iterator
from math import inf
from typing import TYPE_CHECKING

from attrs import frozen
from pacs_web.api import WebContext, WebRoutesDescriptor

from pacs_core.contracts import Metric, MetricKind

if TYPE_CHECKING:
    from prometheus_client import Metric as Family
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute


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


def web_routes() -> list[WebRoutesDescriptor]:
    """Return the descriptor of the page."""
    return [WebRoutesDescriptor("metrics", _create, "/metrics", "Metrics")]


def _create(context: WebContext) -> "list[BaseRoute]":
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import choose_encoder
    from starlette.responses import Response as Answer
    from starlette.routing import Route

    async def metrics(request: "Request") -> "Response":
        await context.require(request, "metrics.read")
        registry = CollectorRegistry(auto_describe=False)
        registry.register(Collected(context.node.meter.collect()))
        encode, media_type = choose_encoder(request.headers.get("accept", ""))
        headers = {"cache-control": "no-store", "content-type": media_type}
        return Answer(encode(registry), headers=headers)

    return [Route("/", metrics)]
