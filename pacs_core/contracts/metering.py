"""The contract of the meter: numbers that plugins keep, and that others collect."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final

from attrs import frozen

SECONDS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0)
"""Upper bounds of buckets that suit durations."""


class MetricKind(Enum):
    """How a metric behaves."""

    COUNTER = "counter"
    """Only grows, until the node starts anew."""
    GAUGE = "gauge"
    """Goes up and down."""
    HISTOGRAM = "histogram"
    """Counts observations in buckets."""


@frozen
class Sample:
    """A metric's value for one combination of labels, summed over the workers of the node.

    Attributes
    ----------
    labels : mapping of str to str
    value : float
        Of a counter or gauge; of a histogram, the sum of what was observed.
    buckets : tuple of (float, int)
        Of a histogram: upper bound, and how many observations were not above it. The last bound
        is infinity, so its number is that of all observations.
    """

    labels: Mapping[str, str]
    value: float
    buckets: tuple[tuple[float, int], ...] = ()


@frozen
class Metric:
    """What somebody counts."""

    name: str
    kind: MetricKind
    description: str
    unit: str
    samples: tuple[Sample, ...]


class Counter(ABC):
    """Something that only grows."""

    @abstractmethod
    def add(self, amount: float = 1.0, **labels: str) -> None:
        """Count; a `ValueError` says that the amount is negative or the labels are others."""


class Gauge(ABC):
    """Something that goes up and down. The node's value is the sum of those of its workers."""

    @abstractmethod
    def set(self, value: float, **labels: str) -> None:
        """Set the value of this worker."""

    @abstractmethod
    def add(self, amount: float, **labels: str) -> None:
        """Change the value of this worker."""


class Histogram(ABC):
    """Something of which the distribution matters, such as durations or sizes."""

    @abstractmethod
    def observe(self, value: float, **labels: str) -> None:
        """Count an observation."""


class Meter(ABC):
    """Makes instruments, and collects what they measured: :attr:`Node.meter`.

    - Names begin with that of the plugin: ``routing_forwarded_instances``. Asking again for a
      metric gives the same one.
    - All workers of a node keep their numbers in memory that they share; whoever collects gets the
      sums, in whichever worker it runs. Counters and histograms survive a worker that is
      restarted, its gauges begin at 0. All begin at 0 with the node.
    - Labels tell few things apart: a peer, a status, never a UID. The memory of a worker holds some
      ten thousand numbers; what does not fit is logged once, and not counted.
    - Nothing here waits or locks. Instruments are for the event loop's thread.
    """

    @abstractmethod
    def counter(
        self, name: str, description: str = "", *, unit: str = "", labels: Sequence[str] = ()
    ) -> Counter:
        """Return a counter.

        Parameters
        ----------
        name : str
            Letters, digits and underscores.
        description : str
            One sentence.
        unit : str
            Such as ``"bytes"`` or ``"seconds"``.
        labels : sequence of str
            Names of labels, all of which each call gives.

        Raises
        ------
        ValueError
            The name is no such, or is that of another metric.
        """

    @abstractmethod
    def gauge(
        self, name: str, description: str = "", *, unit: str = "", labels: Sequence[str] = ()
    ) -> Gauge:
        """Return a gauge; see :meth:`counter`."""

    @abstractmethod
    def histogram(
        self,
        name: str,
        description: str = "",
        *,
        unit: str = "",
        labels: Sequence[str] = (),
        buckets: Sequence[float] = SECONDS,
    ) -> Histogram:
        """Return a histogram with these upper bounds, which ascend; see :meth:`counter`."""

    @abstractmethod
    def collect(self) -> list[Metric]:
        """Return all metrics of the node, by name."""


class _Nothing(Counter, Gauge, Histogram):
    def add(self, amount: float = 1.0, **labels: str) -> None:
        """Count nothing."""

    def set(self, value: float, **labels: str) -> None:
        """Keep nothing."""

    def observe(self, value: float, **labels: str) -> None:
        """Count nothing."""


class NoMeter(Meter):
    """Of a node that was made without one: counts nothing."""

    def counter(
        self, name: str, description: str = "", *, unit: str = "", labels: Sequence[str] = ()
    ) -> Counter:
        """Return what counts nothing."""
        return _Nothing()

    def gauge(
        self, name: str, description: str = "", *, unit: str = "", labels: Sequence[str] = ()
    ) -> Gauge:
        """Return what keeps nothing."""
        return _Nothing()

    def histogram(
        self,
        name: str,
        description: str = "",
        *,
        unit: str = "",
        labels: Sequence[str] = (),
        buckets: Sequence[float] = SECONDS,
    ) -> Histogram:
        """Return what counts nothing."""
        return _Nothing()

    def collect(self) -> list[Metric]:
        """Return nothing."""
        return []
