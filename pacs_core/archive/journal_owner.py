"""Ownership of a journal among processes: who writes it, and what all others wait for."""

import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final, cast

import anyio
from anyio import to_thread
from attrs import frozen

from pacs_core.archive.journal_files import JournalDirectory
from pacs_core.contracts import Index, InstancePath

# Theory of operation
#
# One process of those that share an index may write a journal. What it has acknowledged lies in
# store and index, where all see it, but its records would bring back what another removes before
# they are released. So the others wait, before they remove or replace a row, and before they rely
# on one, until neither the index's account of what is not flushed nor a segment has it. In the
# account it is from before its record was appended, in a segment until after it was settled:
# between the two there is no gap.
#
# If the owner has died, whoever waits replays the journal in its place.

_log = logging.getLogger(__name__)

_POLL: Final = 0.01
_PATIENCE: Final = 100
"""How often a process that starts tries: others look who the owner is by locking it briefly."""


async def own(directory: JournalDirectory) -> bool:
    """Become the owner of a journal, unless another process is."""
    for _ in range(_PATIENCE):
        if await to_thread.run_sync(directory.own):
            return True
        await anyio.sleep(_POLL)
    _log.info("another process writes the journal %s, and settles what is in it", directory.path)
    return False


@frozen
class Neighbour:
    """The journal of another process, as far as there is one.

    Attributes
    ----------
    directory : JournalDirectory
    index : Index
    recover : callable
        Replays it, once its owner has died.
    """

    directory: JournalDirectory
    index: Index
    recover: Callable[[], Awaitable[object]]

    async def settle(self, path: InstancePath) -> None:
        """Wait until an instance, if there is one, is on disk and no journal has it."""
        while self.directory.segments:
            if not await to_thread.run_sync(self.directory.is_owned_elsewhere):
                await self.recover()
                return
            if not await self._holds(path):
                return
            await anyio.sleep(_POLL)

    async def _holds(self, path: InstancePath) -> bool:
        async with aclosing(cast(Any, self.index.unflushed())) as unflushed:
            async for instance in unflushed:
                if instance.identity.path == path:
                    return True
        return await to_thread.run_sync(self.directory.holds, path.sop_instance_uid)
