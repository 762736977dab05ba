"""Load of the node: operations counted by the meter, and sampled for the charts of an hour.

DIMSE operations are counted here where they end, in whichever worker that is, into memory that all
workers share; HTTP requests by the web server, and they are one operation more. Each worker takes a
sample of the sums now and then, so that whichever is asked for a page has the same hour to show.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from typing import Final

import anyio
from attrs import field, frozen

from pacs_core.api.pauses import common_moment
from pacs_core.contracts import (
    Component,
    Metric,
    Node,
    ObservedOperation,
    OperationEnd,
    OperationObserver,
    Service,
    Started,
)
from pacs_core.dimse import CommandField

OPERATIONS: Final = "web_ui_operations"
SECONDS: Final = "web_ui_operation_seconds"
BYTES: Final = "web_ui_bytes"
REQUEST_SECONDS: Final = "web_request_seconds"
"""The web server's own."""
HTTP: Final = "HTTP"
INTERVAL: Final = 10.0
"""Seconds between two samples."""
SAMPLES: Final = 361


@frozen
class LoadSample:
    """Sums since the node began, at a moment.

    Attributes
    ----------
    time : float
        Seconds, on the clock of the event loop.
    operations : mapping of str to float
        How many have ended, by their name: ``"C-STORE"``, ``"HTTP"``.
    seconds : mapping of str to float
        How long these took in all.
    bytes : mapping of str to float
        Of datasets: ``"received"`` and ``"sent"``.
    """

    time: float
    operations: dict[str, float] = field(factory=dict)
    seconds: dict[str, float] = field(factory=dict)
    bytes: dict[str, float] = field(factory=dict)


class LoadHistory(Component, ABC):
    """The interface between who samples and who shows."""

    @abstractmethod
    def take(self) -> None:
        """Take a sample now."""

    @property
    @abstractmethod
    def samples(self) -> Sequence[LoadSample]:
        """The samples of the last hour, the oldest first."""


_NAMES: Final = {field: field.name.removesuffix("_RQ").replace("_", "-") for field in CommandField}


class MeteredLoad(LoadHistory, OperationObserver):
    """Counts operations, and keeps samples in memory."""

    def __init__(self, node: Node) -> None:
        self._node, meter = node, node.meter
        self._operations = meter.counter(
            OPERATIONS, "DIMSE operations that have ended", labels=("operation",)
        )
        self._seconds = meter.histogram(
            SECONDS, "How long they took", unit="seconds", labels=("operation",)
        )
        self._bytes = meter.counter(BYTES, "Of datasets", unit="bytes", labels=("direction",))
        self._samples: deque[LoadSample] = deque(maxlen=SAMPLES)

    async def start(self) -> None:
        """Begin to watch."""
        self._node.operations.add(self)
        self.take()

    async def stop(self) -> None:
        """Watch no more."""
        self._node.operations.remove(self)

    def ended(self, operation: ObservedOperation, end: OperationEnd) -> None:
        """Count an operation."""
        name = _NAMES[operation.command.field]
        self._operations.add(1, operation=name)
        self._seconds.observe(end.seconds, operation=name)
        if end.bytes_received:
            self._bytes.add(end.bytes_received, direction="received")
        if end.bytes_sent:
            self._bytes.add(end.bytes_sent, direction="sent")

    def take(self) -> None:
        """See base."""
        metrics = {each.name: each for each in self._node.meter.collect()}
        operations = _values(metrics.get(OPERATIONS), "operation")
        seconds = _values(metrics.get(SECONDS), "operation")
        if requests := metrics.get(REQUEST_SECONDS):
            operations[HTTP] = sum(each.buckets[-1][1] for each in requests.samples)
            seconds[HTTP] = sum(each.value for each in requests.samples)
        transferred = _values(metrics.get(BYTES), "direction")
        self._samples.append(LoadSample(anyio.current_time(), operations, seconds, transferred))

    @property
    def samples(self) -> Sequence[LoadSample]:
        """See base."""
        return tuple(self._samples)


def _values(metric: Metric | None, label: str) -> dict[str, float]:
    return {each.labels[label]: each.value for each in metric.samples} if metric else {}


class Sampler(Service):
    """Takes samples for as long as the node serves."""

    def __init__(self, node: Node) -> None:
        self._load = node.find(LoadHistory)

    async def run(self, started: Started) -> None:
        """Take one now and then until cancelled."""
        started()
        while True:
            await anyio.sleep_until(common_moment(INTERVAL))
            self._load.take()
