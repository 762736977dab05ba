"""Journals of other processes: what must be asked of them before a row is relied on, or removed."""

from collections.abc import Awaitable, Callable, Collection
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final, cast

import anyio
from anyio import to_thread
from attrs import frozen

from pacs_core.archive.journal_directory import JournalDirectory, find_journals
from pacs_core.contracts import Index, InstancePath, ObjectStore, StoredInstance

# Theory of operation
#
# Each process of those that share an index may write a journal. What it has acknowledged lies in
# store and index, where all see it, but its records would bring back what another removes before
# they are released. So the others make sure, before they remove or replace a row, and before they
# rely on one, that neither the index's account of what is not flushed nor a segment has it. In the
# account it is from before its record was appended, in a segment until after it was settled:
# between the two there is no gap.
#
# If it is there, each process that writes a journal is asked to flush, and waited for; the journal
# of one that has died is replayed. As the row can be seen, no other record of the instance can
# come meanwhile. What still is in the account then was added by a process that died before it had
# a record, and nobody else will settle it.

PATIENCE: Final = 30.0
"""Seconds for another process to flush."""
_POLL: Final = 0.002
_ASK_AGAIN: Final = 0.5


@frozen
class Neighbours:
    """The journals of other processes, as far as there are any.

    Attributes
    ----------
    home : Path
        The directory in which the journals lie.
    own : Path or None
        That of this process.
    store : ObjectStore
    index : Index
    recover : callable
        Replays a journal whose writer has died.
    """

    home: Path
    own: Path | None
    store: ObjectStore
    index: Index
    recover: Callable[[JournalDirectory], Awaitable[object]]

    async def settle(self, paths: Collection[InstancePath]) -> None:
        """Have instances, which this process has not in its own journal, on disk and in no journal.

        Raises
        ------
        OSError
            Another process does not flush them.
        """
        if not paths or not (others := self._others()):
            return
        wanted = frozenset(paths)
        if not await self._hold(others, wanted):
            return
        for directory in others:
            await self._have_flushed(directory)
        if left := await self._unflushed(wanted):
            await self.store.flush([instance.key for instance in left])
            await self.index.settle([instance.identity.path for instance in left])

    def _others(self) -> list[JournalDirectory]:
        found = find_journals(self.home)
        return [each for each in found if each.path != self.own and each.segments]

    async def _hold(self, others: list[JournalDirectory], wanted: frozenset[InstancePath]) -> bool:
        if await self._unflushed(wanted):
            return True
        uids = frozenset(path.sop_instance_uid for path in wanted)
        for directory in others:
            if await to_thread.run_sync(directory.holds, uids):
                return True
        return False

    async def _unflushed(self, wanted: frozenset[InstancePath]) -> list[StoredInstance]:
        async with aclosing(cast(Any, self.index.unflushed())) as unflushed:
            return [each async for each in unflushed if each.identity.path in wanted]

    async def _have_flushed(self, directory: JournalDirectory) -> None:
        """Have a journal flushed by its writer, or replay it if there is none any more."""
        before = directory.flushes_begun()
        with anyio.move_on_after(PATIENCE):
            while True:
                if not directory.ask():
                    await self.recover(directory)
                    if not directory.segments:
                        return
                with anyio.move_on_after(_ASK_AGAIN):
                    while directory.flushes_done() <= before:  # noqa: ASYNC110 another process
                        await anyio.sleep(_POLL)
                    return
        raise OSError(f"the process that writes the journal {directory.path} does not flush it")
