"""A migration: the moves of a plan, one after the other, at a bounded rate."""

import logging
from collections.abc import AsyncIterator

import anyio
from attrs import define, field

from pacs_core.api.copying import ReadPace
from pacs_core.api.streams import closing
from pacs_core.contracts import Node, ObjectNotFoundError, Origin
from pacs_store_tiered.auditing import MOVED, MoveRecorder
from pacs_store_tiered.planning import Move, find_store
from pacs_store_tiered.store import TieredStore

_log = logging.getLogger(__name__)


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
    """Moves what is planned.

    It can be cut short at any point, and run again, by several at once: what has moved is not
    planned again, and a lock on each key lets one at a time move it.

    Parameters
    ----------
    node : Node
    rate : float
        Megabytes a second that it reads at most; 0 for as fast as it can.
    origin : Origin
        Who moves, for the audit trail.
    """

    node: Node
    rate: float
    origin: Origin
    report: MigrationReport = field(factory=MigrationReport, init=False)

    async def run(self, planned: AsyncIterator[Move]) -> AsyncIterator[Move]:
        """Move, and yield each object that has moved."""
        store = find_store(self.node)
        pace = ReadPace(self.rate * 1e6)
        recorder = MoveRecorder(self.node.audit, MOVED, self.origin)
        try:
            async with closing(planned) as moves:
                async for move in moves:
                    size = await self._move(store, move, pace)
                    if size == 0:
                        continue
                    await recorder.add(move.instance, move.source, move.target, size)
                    if size is not None:
                        yield move
        finally:
            with anyio.CancelScope(shield=True):
                await recorder.close()

    async def _move(self, store: TieredStore, move: Move, pace: ReadPace) -> int | None:
        """Return the bytes that were moved, 0 if there was nothing to move; None if it failed."""
        key = move.instance.key
        try:
            size = await store.move(key, move.target, expected=move.instance, pace=pace)
        except ObjectNotFoundError:
            return 0  # deleted since it was planned
        except OSError as error:
            self.report.failed += 1
            _log.error("object %s stays %s: %s", key, move.source, error)
            return None
        if size:
            self.report.moved += 1
            self.report.moved_bytes += size
        return size
