"""Counters and gauges of what services are asked and answer, for whoever collects metrics.

Totals are those of the database: the same on all nodes that share it, and after a restart. What
was seen by a node alone, times and failures, begins at 0 with it.
"""

from typing import Final

import anyio
from attrs import define

from pacs_ai.desk import AiDesk
from pacs_ai.models import Assessment, InferenceRequest, RequestState, ResultState, ServiceTotal
from pacs_core.contracts import Meter, Node, Service, Started

_LOOK: Final = 60.0
_SECONDS: Final = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)
_LABELS: Final = ("service", "version")


def observe_answer(meter: Meter, request: InferenceRequest, now: float) -> None:
    """Note how long a request took, from when it was made until it was answered."""
    histogram = meter.histogram(
        "ai_answer_seconds",
        "From when a service was to be asked until it had answered.",
        unit="seconds",
        labels=_LABELS,
        buckets=_SECONDS,
    )
    took = max(now - request.created, 0.0)
    histogram.observe(took, service=request.service, version=request.version)


def count_failure(meter: Meter, request: InferenceRequest, kind: str) -> None:
    """Count that a service was away, has failed, or has refused a request."""
    counter = meter.counter(
        "ai_failures", "Requests that a service did not take.", labels=(*_LABELS, "kind")
    )
    counter.add(1, service=request.service, version=request.version, kind=kind)


@define(eq=False)
class MeterInferences(Service):
    """Looks once a minute.

    Parameters
    ----------
    node : Node
    """

    node: Node

    async def run(self, started: Started) -> None:
        """Look until cancelled."""
        started()
        meter, desk = self.node.meter, self.node.find(AiDesk)
        requests = meter.gauge("ai_requests", "By how far they are.", labels=(*_LABELS, "state"))
        results = meter.gauge("ai_results", "By what became of them.", labels=(*_LABELS, "state"))
        assessed = meter.gauge(
            "ai_assessments", "Of whole results.", labels=(*_LABELS, "assessment")
        )
        alone = meter.gauge(
            "ai_services_left_alone", "1 if a circuit breaker is open.", labels=("service",)
        )
        known: set[tuple[str, str]] = set()
        while True:
            totals = {(each.service, each.version): each for each in await desk.records.totals()}
            known |= totals.keys()
            for key in known:  # of a version that is forgotten there is nothing any more
                total = totals.get(key) or ServiceTotal(*key)
                of = {"service": total.service, "version": total.version}
                # Also what is 0: a gauge that nobody sets stays as it was.
                for state in RequestState:
                    requests.set(total.requests.get(state, 0), **of, state=str(state))
                for kept in ResultState:
                    results.set(total.results.get(kept, 0), **of, state=str(kept))
                for each in Assessment:
                    if each:
                        count = total.assessments.get(each, 0)
                        assessed.set(count, **of, assessment=str(each))
            opened = await desk.breakers.opened()
            for name in desk.config.services:
                alone.set(int(name in opened), service=name)
            await anyio.sleep(_LOOK)
