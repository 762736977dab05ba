"""The contract of health checks: whether the node can do its work right now."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from time import monotonic

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

    @abstractmethod
    async def check(self) -> str:
        """Return what is wrong with the part; empty if nothing is.

        Called often, so it must be cheap. What it raises is a problem, and so is no answer in time.
        """


@define(eq=False)
class HealthChecks:
    """The checks of the node's parts: :attr:`Node.health`.

    A plugin without which the node cannot do its work adds a check in its
    :meth:`Component.start`, and removes it in its `stop`.
    """

    _checks: tuple[HealthCheck, ...] = ()
    _running: dict[HealthCheck, "asyncio.Task[HealthResult]"] = field(factory=dict)

    def add(self, check: HealthCheck) -> None:
        """Include a check from now on."""
        self._checks = (*self._checks, check)

    def remove(self, check: HealthCheck) -> None:
        """Include it no more; nothing happens if it was not included."""
        self._checks = tuple(each for each in self._checks if each is not check)
        if check in self._running:
            self._running.pop(check).cancel()

    async def run(self, deadline: float) -> Sequence[HealthResult]:
        """Run all checks at the same time, and return what they found, in the order of adding.

        Parameters
        ----------
        deadline : float
            Seconds that they have.
        """
        # A check that hangs in a dead file system cannot be cancelled: nobody waits for it after
        # the deadline, and it is not begun again before it has ended.
        for check in self._checks:
            if check not in self._running:
                self._running[check] = asyncio.create_task(_run(check), name=f"check {check.name}")
        tasks = {check: self._running[check] for check in self._checks}
        if tasks:
            await asyncio.wait(tasks.values(), timeout=deadline)
        for check, task in tasks.items():
            if task.done():
                self._running.pop(check, None)
        return [
            task.result()
            if task.done() and not task.cancelled()
            else HealthResult(check.name, f"no answer within {deadline:g} s", deadline)
            for check, task in tasks.items()
        ]


async def _run(check: HealthCheck) -> HealthResult:
    began = monotonic()
    try:
        problem = await check.check()
    except Exception as error:
        logger.exception("the check of %s failed", check.name)
        problem = f"the check failed: {error}"
    return HealthResult(check.name, problem, monotonic() - began)
