"""Opening of the journals of an archive: what a former process has left is replayed first."""

import logging
from pathlib import Path
from shutil import disk_usage
from typing import Final

from anyio import to_thread
from attrs import define, field

from pacs_core.archive.corrections import Corrections
from pacs_core.archive.journal import Journal
from pacs_core.archive.journal_directory import JournalDirectory, find_journals, own_free
from pacs_core.archive.journal_neighbours import Neighbours
from pacs_core.archive.journal_replay import Replay
from pacs_core.archive.recovery import Recovery, exclusively
from pacs_core.archive.settings import CharacterSetOf
from pacs_core.contracts import AuditTrail, Index, ObjectStore

# Theory of operation
#
# A process that starts replays the journals of all that have died, whatever it is itself. Nothing
# else is added to store and index meanwhile under a path that such a journal has: who would do so
# waits for that journal (`Neighbours`). Processes start one at a time (`exclusively`).
#
# Where no other process writes a journal, whatever is in the index's account of what is not flushed
# is looked at then (`Recovery`). Else it may be theirs: they are asked to flush, and what is there
# after that was left by a process that died before it had a record.

_log = logging.getLogger(__name__)

_SHARE: Final = 0.25
"""Of the free room, which a journal may take at most: the rest is for what it is about."""


@define(eq=False)
class Journaling:
    """Recovers an archive, and opens a journal if this process is to have one.

    Attributes
    ----------
    wanted : bool
        Whether this process is to write a journal. What is in others is replayed anyhow.
    """

    store: ObjectStore
    index: Index
    audit: AuditTrail
    corrections: Corrections
    character_set_of: CharacterSetOf
    wanted: bool
    _journal: Journal | None = field(default=None, init=False)

    async def open(self, lock: Path) -> tuple[Journal | None, Neighbours]:
        """Settle what former processes have left, then open a journal.

        Parameters
        ----------
        lock : Path
            A file that all processes with the same store and index agree on.
        """
        async with exclusively(lock):
            replayed = [await self._replay(each) for each in find_journals(lock.parent)]
            if all(replayed):
                await Recovery(self.store, self.index, self.audit).run()
            if self.wanted:
                self._journal = await _make(lock.parent)

        async def recover(directory: JournalDirectory) -> None:
            async with exclusively(lock):
                await self._replay(directory)

        own = self._journal.directory.path if self._journal is not None else None
        neighbours = Neighbours(lock.parent, own, self.store, self.index, recover)
        if self.wanted and not all(replayed):
            try:
                await neighbours.settle([i.identity.path async for i in self.index.unflushed()])
            except OSError as error:
                _log.error("what a process left that died is not flushed yet: %s", error)
        return self._journal, neighbours

    async def _replay(self, directory: JournalDirectory) -> bool:
        """Settle what is in a journal; false if that is left to its writer, which lives."""
        if not directory.own():
            return False
        try:
            replay = Replay(self.store, self.index, self.corrections, self.character_set_of)
            await replay.run(directory)
        finally:
            directory.disown()
        return True

    async def close(self) -> None:
        """Let go of the journal, once all is flushed. What is in it still is replayed later."""
        if self._journal is not None:
            await to_thread.run_sync(self._journal.close)
            self._journal.directory.disown()


async def _make(home: Path) -> Journal | None:
    directory = None
    try:
        directory = own_free(home)
        free = disk_usage(home).free
        if directory is None:
            reason = "too many processes write one"
        elif directory.takes > free * _SHARE:
            reason = f"it takes {directory.takes >> 20} MiB, and {home} has {free >> 20} MiB free"
        else:
            return Journal(directory, await to_thread.run_sync(directory.make_segments))
    except OSError as error:
        reason = str(error)
    if directory is not None:
        directory.disown()
    _log.error("there is no journal, store and index are synced instead: %s", reason)
    return None
