"""Opening of the journals of an archive: what a former process has left is replayed first."""

import logging
from collections.abc import Sequence
from pathlib import Path
from shutil import disk_usage
from typing import Final

import anyio
from anyio import to_thread
from attrs import define, field

from pacs_core.archive.corrections import Corrections
from pacs_core.archive.journal import Journal
from pacs_core.archive.journal_directory import JournalDirectory, find_journals, own_free
from pacs_core.archive.journal_files import read_records
from pacs_core.archive.journal_neighbours import Neighbours
from pacs_core.archive.journal_replay import Replay
from pacs_core.archive.maintenance import find_gap
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
#
# A directory is owned from the start. Its segments take room, and some time to be made, so that
# they are made only once there is something to gain; and removed when all they held is flushed in
# the end.

_log = logging.getLogger(__name__)

_NONE: Final = "there is no journal, store and index are synced instead: %s"
_SHARE: Final = 0.25
"""Of the free room, which a journal may take at most: the rest is for what it is about."""


@define(eq=False)
class Journaling:
    """Recovers an archive, and opens a journal if this process is to have one.

    Attributes
    ----------
    after : int or None
        Small instances that this process stores before it makes a journal; None if it is to make
        none. What is in others is replayed anyhow.
    """

    store: ObjectStore
    index: Index
    audit: AuditTrail
    corrections: Corrections
    character_set_of: CharacterSetOf
    after: int | None
    directory: JournalDirectory | None = field(default=None, init=False)
    _journal: Journal | None = field(default=None, init=False)
    _changing: anyio.Lock = field(factory=anyio.Lock, init=False)

    async def open(self, lock: Path) -> Neighbours:
        """Settle what former processes have left, then own a directory if there is to be a journal.

        Parameters
        ----------
        lock : Path
            A file that all processes with the same store and index agree on.
        """
        async with exclusively(lock):
            journals = find_journals(lock.parent)
            if keys := await to_thread.run_sync(_keys, journals):
                # An index that was lost would not look like one that was any more. The deletion bin
                # cannot be asked yet.
                await find_gap(self.store, self.index, journaled=keys)
            replayed = [await self._replay(each) for each in journals]
            if all(replayed):
                await Recovery(self.store, self.index, self.audit).run()
            if self.after is not None:
                self.directory = _own(lock.parent)

        async def recover(directory: JournalDirectory) -> None:
            async with exclusively(lock):
                await self._replay(directory)

        own = self.directory.path if self.directory is not None else None
        neighbours = Neighbours(lock.parent, own, self.store, self.index, recover)
        if self.after is not None and not all(replayed):
            try:
                await neighbours.settle([i.identity.path async for i in self.index.unflushed()])
            except OSError as error:
                _log.error("what a process left that died is not flushed yet: %s", error)
        return neighbours

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

    async def make(self) -> Journal | None:
        """Make the journal in the directory that is owned; None if it cannot be, or is closed."""
        async with self._changing:
            if self.directory is not None:
                self._journal = await _make(self.directory)
            return self._journal

    async def close(self) -> None:
        """Let go of the journal, once all is flushed. What is in it still is replayed later."""
        async with self._changing:
            if self._journal is not None:
                await to_thread.run_sync(self._journal.close)
                if not self._journal.held:
                    await to_thread.run_sync(self._journal.directory.clear)
            if self.directory is not None:
                self.directory.disown()
            self.directory = None


def _keys(journals: Sequence[JournalDirectory]) -> set[str]:
    paths = [path for directory in journals for path in directory.segments]
    return {record.key for path in paths for record in read_records(path, names_only=True)}


def _own(home: Path) -> JournalDirectory | None:
    try:
        if (directory := own_free(home)) is not None:
            return directory
        reason = "too many processes write one"
    except OSError as error:
        reason = str(error)
    _log.warning(_NONE, reason)
    return None


async def _make(directory: JournalDirectory) -> Journal | None:
    home = directory.path.parent
    try:
        free = disk_usage(home).free
        if directory.takes <= free * _SHARE:
            directory.listen()
            return Journal(directory, await to_thread.run_sync(directory.make_segments))
        reason = f"it takes {directory.takes >> 20} MiB, and {home} has {free >> 20} MiB free"
    except OSError as error:
        reason = str(error)
    _log.warning(_NONE, reason)
    return None
