"""A migration: the moves of a plan, one after the other, at a bounded rate."""

import logging
import time
from collections.abc import AsyncIterator

import anyio
from attrs import define, field

from pacs_core.api.streams import closing
from pacs_core.contracts import Node, ObjectNotFoundError
from pacs_store_tiered.config import TieringConfig
from pacs_store_tiered.planning import Move, Planner, find_store

_log = logging.getLogger(__name__)


@define(eq=False)
class Throttle:
    """Keeps reading below a rate.

    Parameters
    ----------
    rate : float
        Bytes a second; 0 for no bound.
    """

    rate: float = 0.0
    _due: float = field(default=0.0, init=False)

    async def pace(self, size: int) -> None:
        """Wait as long as bytes that were read take at the rate."""
        if self.rate:
            now = time.monotonic()
            self._due = max(self._due, now) + size / self.rate
            await anyio.sleep(self._due - now)


@define
class MigrationReport:
    """What a migration has done.

    Attributes
    ----------
    moved, moved_bytes : int
    failed : int
        Objects that stay where they are; each is named in the log.
    """

    moved: int = 0
    moved_bytes: int = 0
    failed: int = 0

    def __str__(self) -> str:
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.moved} objects moved, {self.moved_bytes / 1e6:.1f} MB{failed}"


@define(eq=False)
class Migration:
    """Moves what policies say.

    It can be cut short at any point, and run again, by several at once: what has moved is not
    planned again, and a lock on each key lets one at a time move it.

    Parameters
    ----------
    node : Node
    config : TieringConfig
    """

    node: Node
    config: TieringConfig
    report: MigrationReport = field(factory=MigrationReport, init=False)

    async def run(self) -> AsyncIterator[Move]:
        """Move, and yield each object that has moved."""
        store = find_store(self.node)
        throttle = Throttle(self.config.rate * 1e6)
        async with closing(Planner(self.node, self.config).moves()) as planned:
            async for move in planned:
                key = move.instance.key
                try:
                    size = await store.move(
                        key, move.target, expected=move.instance, pace=throttle.pace
                    )
                except ObjectNotFoundError:
                    continue  # deleted since it was planned
                except OSError as error:
                    self.report.failed += 1
                    _log.error("object %s stays %s: %s", key, move.source, error)
                    continue
                if size:
                    self.report.moved += 1
                    self.report.moved_bytes += size
                    yield move
