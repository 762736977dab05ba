"""Durations of the stages of one ingest, measured while somebody wants to know.

Who stores an instance has a timer or none, and says when a stage begins and ends to the one that
there is. Without one it looks at None, which costs a fraction of what a context manager does that
does nothing: this is done ten times for each instance.
"""

from collections.abc import Awaitable, Callable, Sequence
from time import monotonic

from attrs import define, field

from pacs_core.contracts import (
    IngestObservers,
    IngestResult,
    IngestStage,
    ObservedIngest,
    Origin,
    StageTime,
)


@define(eq=False)
class StageTimer:
    """Adds up what each stage of an instance takes. One lasts until it ends or another begins."""

    _stages: dict[IngestStage, list[float]] = field(factory=dict)
    """When each first began, when it ended, and the seconds that were spent in it."""
    _running: IngestStage | None = None
    _began: float = 0.0

    def begin(self, stage: IngestStage) -> None:
        """Note that a stage begins, maybe again."""
        now = monotonic()
        self._note(now)
        self._running, self._began = stage, now

    def end(self) -> None:
        """Note that what is done now is none of the stages."""
        self._note(monotonic())
        self._running = None

    def _note(self, now: float) -> None:
        if (stage := self._running) is None:
            return
        if (times := self._stages.get(stage)) is None:
            self._stages[stage] = [self._began, now, now - self._began]
        else:
            times[1] = now
            times[2] += now - self._began

    def stop(self) -> Sequence[StageTime]:
        """Return the stages, in the order in which they began; one that failed ends now."""
        self.end()
        # A dictionary has them in the order in which they first ended, which is the same.
        return [StageTime(stage, *times) for stage, times in self._stages.items()]


async def observe(
    observers: IngestObservers,
    origin: Origin,
    sop_instance_uid: str,
    take: Callable[[StageTimer], Awaitable[IngestResult]],
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
    timer, began = StageTimer(), monotonic()
    result: IngestResult | None = None
    error: BaseException | None = None
    try:
        result = await take(timer)
    except BaseException as failure:
        error = failure
        raise
    finally:
        stages, ended = timer.stop(), monotonic()
        observers.tell(
            ObservedIngest(origin, sop_instance_uid, result, error, began, ended, stages)
        )
    return result
