"""Opening of the journal of an archive: what a former process has left is replayed first."""

import logging
from pathlib import Path

from anyio import to_thread
from attrs import define

from pacs_core.archive.corrections import Corrections
from pacs_core.archive.journal import Journal
from pacs_core.archive.journal_files import JournalDirectory
from pacs_core.archive.journal_owner import Neighbour, own
from pacs_core.archive.journal_replay import Replay
from pacs_core.archive.recovery import Recovery, exclusively
from pacs_core.archive.settings import CharacterSetOf
from pacs_core.contracts import AuditTrail, Index, ObjectStore

_log = logging.getLogger(__name__)


@define(eq=False)
class Journaling:
    """Recovers an archive, and opens its journal if it is to have one.

    Attributes
    ----------
    wanted : bool
        Whether this process is to write a journal. What is in one is replayed anyhow.
    """

    store: ObjectStore
    index: Index
    audit: AuditTrail
    corrections: Corrections
    character_set_of: CharacterSetOf
    wanted: bool
    _directory: JournalDirectory | None = None
    _journal: Journal | None = None

    async def open(self, lock: Path) -> tuple[Journal | None, Neighbour | None]:
        """Settle what a former process has left, then open a journal or mind that of another.

        Parameters
        ----------
        lock : Path
            A file that all processes with the same store and index agree on.
        """
        directory = JournalDirectory(lock.with_name("journal"))
        async with exclusively(lock):
            if await self._recover(directory) and self.wanted:
                self._journal = await self._make(directory)
            if self._journal is None:
                directory.disown()
        self._directory = directory
        if self._journal is not None:
            return self._journal, None

        async def recover_for_another() -> None:
            async with exclusively(lock):
                await self._recover(directory)
                directory.disown()

        return None, Neighbour(directory, self.index, recover_for_another)

    async def _recover(self, directory: JournalDirectory) -> bool:
        """Settle what no living process has in its journal; tell whether that is all."""
        if self.wanted or directory.path.exists():
            if not await own(directory):
                return False
            replay = Replay(self.store, self.index, self.corrections, self.character_set_of)
            await replay.run(directory)
        await Recovery(self.store, self.index, self.audit).run()
        return True

    async def _make(self, directory: JournalDirectory) -> Journal | None:
        try:
            return Journal(directory, await to_thread.run_sync(directory.make_segments))
        except OSError as error:
            _log.error("there is no journal, store and index are synced instead: %s", error)
            return None

    async def close(self) -> None:
        """Let go of the journal, once all is flushed. What is in it still is replayed later."""
        if self._journal is not None:
            await to_thread.run_sync(self._journal.close)
        if self._directory is not None:
            self._directory.disown()
