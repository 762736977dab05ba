"""The contract of ingest observers: who is told how long each stage of storing an instance took."""

import logging
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from attrs import define, frozen

from pacs_core.contracts.ingest import IngestResult
from pacs_core.contracts.instance import Origin

logger = logging.getLogger(__name__)


class IngestStage(StrEnum):
    """What is done to an instance that arrives.

    Not all of it: what is spent on ingest filters, on waiting for another instance with the same
    UID, or on comparing with what is there already, is in none of them.
    """

    RECEIVE = "receive"
    """Waiting for the next bytes of the dataset."""
    SCAN = "scan"
    """Reading its header, and its digest."""
    LOCATE = "locate"
    """Asking the index what is there already."""
    WRITE = "write"
    """Handing bytes to the object store."""
    COMMIT = "commit"
    """Until the object is there, on disk as far as the durability demands it (fsync)."""
    INDEX = "index"
    """Until its row is there, likewise."""
    JOURNAL = "journal"
    """Until a journal that stands in for both is on disk."""


@frozen
class StageTime:
    """A stage of one instance.

    Attributes
    ----------
    stage : IngestStage
    began, ended : float
        When it first began and last ended, by :func:`time.monotonic`.
    seconds : float
        That were spent in it; fewer than lie between, where it took turns with another.
    """

    stage: IngestStage
    began: float
    ended: float
    seconds: float


@frozen
class ObservedIngest:
    """An instance that was to be stored.

    Attributes
    ----------
    origin : Origin
        Who sent it.
    sop_instance_uid : str
        As announced.
    result : IngestResult or None
        What became of it; None if it failed.
    error : BaseException or None
        Why it failed.
    began, ended : float
        By :func:`time.monotonic`.
    stages : sequence of StageTime
        In the order in which they began.
    """

    origin: Origin
    sop_instance_uid: str
    result: IngestResult | None
    error: BaseException | None
    began: float
    ended: float
    stages: Sequence[StageTime]


class IngestObserver:
    """Is told of each instance that was stored, or failed to be, whichever door it came by.

    Its method is called in the event loop, in the task that has stored the instance, before that
    is acknowledged: it must be quick, and cannot wait. What it raises is logged, and harms nobody.
    """

    def ingested(self, ingest: ObservedIngest) -> None:
        """All of its stages are over."""


_NOBODY: Final[tuple[IngestObserver, ...]] = ()


@define(eq=False)
class IngestObservers:
    """Those who want to be told: :attr:`Node.ingests`. While there is nobody, no time is taken.

    Whoever adds itself, in its :meth:`Component.start`, removes itself in its `stop`.
    """

    _observers: tuple[IngestObserver, ...] = _NOBODY

    def __bool__(self) -> bool:
        return bool(self._observers)

    def add(self, observer: IngestObserver) -> None:
        """Tell an observer of instances that arrive from now on."""
        self._observers = (*self._observers, observer)

    def remove(self, observer: IngestObserver) -> None:
        """Tell it no more; nothing happens if it was not told."""
        self._observers = tuple(each for each in self._observers if each is not observer)

    def tell(self, ingest: ObservedIngest) -> None:
        """Tell all. The kernel calls this."""
        for observer in self._observers:
            try:
                observer.ingested(ingest)
            except Exception:
                logger.exception("%s.ingested failed", type(observer).__qualname__)
