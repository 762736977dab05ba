"""Deletion guards of a node: asked what must be kept, before anything goes."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Final

import anyio

from pacs_core.concurrency import closing, is_failure
from pacs_core.contracts import DeletionGuard, InstancePath, Origin, StoredInstance

# Theory of operation
#
# Guards are started with the first question, which a node asks itself when it begins to serve. So a
# command that deletes nothing does not open what they require, such as a database.
#
# A guard is asked before an instance is touched, and again when its row is gone and its object is
# not. Whoever makes a promise does it in the opposite order: notes the hold, then looks for the
# row. Whatever the two do at the same moment, in one process or in two, one sees the other: either
# the second question meets the hold, and the row comes back, or whoever promises finds no row.
#
# What fails is closed: a guard that cannot say anything holds all.

_log = logging.getLogger(__name__)

_AT_ONCE: Final = 500

StartGuards = Callable[[], Awaitable[Mapping[str, DeletionGuard]]]


class DeletionGuards:
    """The deletion guards of a node.

    Parameters
    ----------
    timeout : float
        Seconds that a guard has for an answer.
    """

    def __init__(self, timeout: float = 30.0) -> None:
        self._timeout = timeout
        self._guards: Mapping[str, DeletionGuard] = {}
        self._start: StartGuards | None = None
        self._one = anyio.Lock()

    def install(self, guards: Mapping[str, DeletionGuard]) -> None:
        """Ask these from now on, by their names."""
        self._guards = guards
        self._start = None

    def start_with(self, start: StartGuards) -> None:
        """Ask what `start` returns, once it is needed."""
        self._start = start

    async def start(self) -> None:
        """Start them, if that was not done."""
        if self._start is not None:
            async with self._one:
                if self._start is not None:
                    self.install(await self._start())

    async def find_holds(
        self, instances: Sequence[StoredInstance], origin: Origin
    ) -> dict[str, str]:
        """Return why instances must be kept, by SOP Instance UID."""
        await self.start()
        holds: dict[str, str] = {}
        for name, guard in self._guards.items():
            for start in range(0, len(instances), _AT_ONCE):
                some = instances[start : start + _AT_ONCE]
                for uid, reason in (await self._ask(name, guard, some, origin)).items():
                    said = f"{name}: {reason}"
                    holds[uid] = f"{holds[uid]}; {said}" if uid in holds else said
        return holds

    async def find_paths(
        self, instances: AsyncIterator[StoredInstance], origin: Origin
    ) -> dict[InstancePath, str]:
        """Return why instances must be kept, by path; in bounded memory."""
        held: dict[InstancePath, str] = {}
        some: list[StoredInstance] = []

        async def ask() -> None:
            reasons = await self.find_holds(some, origin)
            paths = [each.identity.path for each in some]
            held.update((p, reasons[p[1]]) for p in paths if p.sop_instance_uid in reasons)
            some.clear()

        async with closing(instances):
            async for instance in instances:
                some.append(instance)
                if len(some) == _AT_ONCE:
                    await ask()
        await ask()
        return held

    async def _ask(
        self, name: str, guard: DeletionGuard, some: Sequence[StoredInstance], origin: Origin
    ) -> dict[str, str]:
        uids = {each.identity.sop_instance_uid for each in some}
        try:
            with anyio.fail_after(self._timeout):
                found = await guard.find_holds(some, origin)
            return {uid: str(reason) for uid, reason in found.items() if uid in uids}
        except BaseException as error:
            if not is_failure(error):
                raise
            _log.exception("deletion guard %s failed: %d instances are held", name, len(uids))
            return dict.fromkeys(uids, "it failed, see the node's log")
