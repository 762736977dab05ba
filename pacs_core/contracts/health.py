"""The contract of health checks: whether the node can do its work right now."""

import asyncio
import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from time import monotonic
from typing import ClassVar

from attrs import define, field, frozen

logger = logging.getLogger(__name__)


@frozen
class HealthResult:
    """What a check has found.

    Attributes
    ----------
    name : str
    problem : str
        What is wrong; empty if nothing is.
    seconds : float
        How long it took to find out.
    """

    name: str
    problem: str
    seconds: float


class HealthCheck(ABC):
    """Looks whether a part that the node needs works, by using it."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Short, unique on the node: ``"index"``."""

    deadline: ClassVar[float] = math.inf
    """Seconds after which no answer is a problem, where whoever asks has not less patience."""

    @abstractmethod
    async def check(self) -> str:
        """Return what is wrong with the part; empty if nothing is.

        Called often, so it must be cheap. What it raises is a problem, and so is no answer in time.
        """


@define(eq=False)
class _Running:
    """A check that has begun, and may never end."""

    task: "asyncio.Task[HealthResult]"
    began: float
    told: bool = False


@define(eq=False)
class HealthChecks:
    """The checks of the node's parts: :attr:`Node.health`.

    A plugin without which the node cannot do its work adds a check in its
    :meth:`Component.start`, and removes it in its `stop`.
    """

    _checks: tuple[HealthCheck, ...] = ()
    _running: dict[HealthCheck, _Running] = field(factory=dict)

    def add(self, check: HealthCheck) -> None:
        """Include a check from now on."""
        self._checks = (*self._checks, check)

    def remove(self, check: HealthCheck) -> None:
        """Include it no more; nothing happens if it was not included."""
        self._checks = tuple(each for each in self._checks if each is not check)
        if check in self._running:
            self._running.pop(check).task.cancel()

    async def run(self, deadline: float) -> Sequence[HealthResult]:
        """Run all checks at the same time, and return what they found, in the order of adding.

        Parameters
        ----------
        deadline : float
            Seconds that each of them has, unless its own are fewer.
        """
        # A check that hangs in a dead file system cannot be cancelled: nobody waits for it after
        # its deadline, this time or the next, and it is not begun again before it has ended.
        for check in self._checks:
            if check not in self._running:
                task = asyncio.create_task(_run(check), name=f"check {check.name}")
                self._running[check] = _Running(task, monotonic())
        running = {check: self._running[check] for check in self._checks}
        limits = {check: min(deadline, check.deadline) for check in running}
        while True:
            now = monotonic()
            waiting = {
                each.task: left
                for check, each in running.items()
                if not each.task.done() and (left := each.began + limits[check] - now) > 0
            }
            if not waiting:
                break
            await asyncio.wait(waiting, timeout=min(waiting.values()))
        return [self._take(check, each, limits[check]) for check, each in running.items()]

    def _take(self, check: HealthCheck, running: _Running, limit: float) -> HealthResult:
        if running.task.done():
            self._running.pop(check, None)
            if not running.task.cancelled():
                return running.task.result()
        elif not running.told:
            running.told = True
            logger.error("the check of %s has not ended within %g s", check.name, limit)
        seconds = monotonic() - running.began
        return HealthResult(check.name, f"no answer within {limit:g} s", seconds)


async def _run(check: HealthCheck) -> HealthResult:
    began = monotonic()
    try:
        problem = await check.check()
    except Exception as error:
        logger.exception("the check of %s failed", check.name)
        problem = f"the check failed: {error}"
    return HealthResult(check.name, problem, monotonic() - began)
