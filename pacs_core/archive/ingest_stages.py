"""How long the stages of one ingest take, while somebody wants to know."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from time import monotonic
from types import TracebackType
from typing import Final

from attrs import define, field

from pacs_core.contracts import (
    IngestObservers,
    IngestResult,
    IngestStage,
    ObservedIngest,
    Origin,
    StageTime,
)

Timed = AbstractContextManager[None]

_UNTIMED: Final[Timed] = nullcontext()


class Stages:
    """Times nothing: that of all instances while nobody observes."""

    def time(self, _stage: IngestStage) -> Timed:
        """Return a context manager that takes the time of its block."""
        return _UNTIMED


UNTIMED: Final = Stages()


@define(eq=False)
class _Stage:
    """A stage that was begun, maybe again: its own context manager."""

    stage: IngestStage
    first: float
    began: float = 0.0
    ended: float = 0.0
    seconds: float = 0.0

    def __enter__(self) -> None:
        self.began = monotonic()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.ended = monotonic()
        self.seconds += self.ended - self.began


@define(eq=False)
class TimedStages(Stages):
    """Adds up what each stage of an instance takes; a stage may not be within itself."""

    _stages: dict[IngestStage, _Stage] = field(factory=dict)

    def time(self, stage: IngestStage) -> Timed:
        """See base."""
        found = self._stages.get(stage)
        if found is None:
            found = self._stages[stage] = _Stage(stage, monotonic())
        return found

    @property
    def times(self) -> Sequence[StageTime]:
        """The stages, in the order in which they began."""
        return [
            StageTime(each.stage, each.first, each.ended, each.seconds)
            for each in self._stages.values()
        ]


async def observe(
    observers: IngestObservers,
    origin: Origin,
    sop_instance_uid: str,
    take: Callable[[Stages], Awaitable[IngestResult]],
) -> IngestResult:
    """Take an instance, and tell observers how long that took.

    Parameters
    ----------
    observers : IngestObservers
    origin : Origin
    sop_instance_uid : str
    take : callable
        Stores the instance.
    """
    stages, began = TimedStages(), monotonic()
    result: IngestResult | None = None
    error: BaseException | None = None
    try:
        result = await take(stages)
    except BaseException as failure:
        error = failure
        raise
    finally:
        observers.tell(
            ObservedIngest(
                origin, sop_instance_uid, result, error, began, monotonic(), stages.times
            )
        )
    return result
