"""Change consumers at work: the changes of the index on their way to one of them.

A consumer reads what lies after its cursor, hands it over, and moves the cursor, again and again.
Nothing else is remembered: whatever kills the process, the next one reads the same changes. What
fails is raised, so that whoever runs services logs it and begins again later.
"""

import logging
import time
from collections.abc import AsyncGenerator, Sequence

import anyio

from pacs_core.archive.change_feed import ChangeFeed
from pacs_core.contracts import (
    Change,
    ChangeConsumer,
    ChangeConsumerDescriptor,
    ChangeKind,
    Index,
    Level,
    Query,
    Service,
    Setup,
    Started,
)

# Theory of operation
#
# A consumer is three steps in a loop: read what lies after the cursor, hand it over, move the
# cursor. The cursor is in the index and moves after the consumer has returned, so a crash between
# the two hands the same changes over again, and none is ever skipped. That is "at least once"; a
# consumer that must not do a thing twice looks whether it is done.
#
# Order holds because there is one loop in the whole node (the service has the scope "node") and
# each change waits for those before it. A consumer that cannot handle a change therefore stops
# here: its error is raised, the service runner logs it and begins again after a pause, at the same
# change. Skipping it would be a decision that only its author can make.
#
# A new consumer may ask for what was there before. The cursor is taken first and the walk over the
# index done after that, so an instance that arrives meanwhile is told twice rather than never. A
# walk that was cut short begins anew: it has no order that could be resumed.
#
# All consumers of a process share what is read of the log (see `change_feed`).

_log = logging.getLogger(__name__)


class ConsumerService(Service):
    """Runs one change consumer.

    Parameters
    ----------
    index : Index
    feed : ChangeFeed
        Of that index.
    descriptor : ChangeConsumerDescriptor
    consumer : ChangeConsumer
        Created by it.
    patience : float
        Seconds after which a call that has not returned is logged, again and again.
    """

    def __init__(
        self,
        index: Index,
        feed: ChangeFeed,
        descriptor: ChangeConsumerDescriptor,
        consumer: ChangeConsumer,
        patience: float,
    ) -> None:
        self._index = index
        self._feed = feed
        self._changes = feed.log
        self._descriptor = descriptor
        self._consumer = consumer
        self._patience = patience
        self._at: Sequence[Change] = ()
        self._since = 0.0

    async def start(self) -> None:
        """Take the cursor, so that from now on no change goes unheard, and start the consumer."""
        walked = self._descriptor.begin == "now"
        self._cursor = await self._changes.follow(self._descriptor.name, walked=walked)
        await self._consumer.start()

    async def stop(self) -> None:
        """Stop the consumer."""
        await self._consumer.stop()

    async def reconfigure(self, setup: Setup) -> None:
        """Let the consumer take other settings."""
        await self._consumer.reconfigure(setup)

    async def run(self, started: Started) -> None:
        """Hand over changes until cancelled."""
        started()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch)
            after = self._cursor.sequence
            if not self._cursor.walked:
                await self._walk()
                await self._changes.advance(self._descriptor.name, after)
            await self._follow(after)

    async def _follow(self, after: int) -> None:
        name, limit = self._descriptor.name, self._descriptor.batch
        while True:
            found = await self._feed.changes(after, limit)
            if wanted := [change for change in found if change.kind in self._descriptor.kinds]:
                await self._hand_over(wanted)
            if found:
                after = found[-1].sequence
                await self._changes.advance(name, after)
            if len(found) < limit:
                await self._feed.wait(after)

    async def _walk(self) -> None:
        """Tell of what was there before; a walk that was cut short begins anew."""
        if ChangeKind.ADDED not in self._descriptor.kinds:
            return
        batch: list[Change] = []
        instances = self._index.instances(Query(Level.IMAGE))
        try:
            async for instance in instances:
                study = instance.identity.study_instance_uid
                batch.append(Change(0, ChangeKind.ADDED, time.time(), study, instance))
                if len(batch) == self._descriptor.batch:
                    await self._hand_over(batch)
                    batch = []
        finally:
            if isinstance(instances, AsyncGenerator):
                await instances.aclose()
        if batch:
            await self._hand_over(batch)

    async def _hand_over(self, changes: Sequence[Change]) -> None:
        self._at, self._since = changes, time.monotonic()
        try:
            await self._consumer.handle(changes)
        except Exception:
            # Whoever runs services logs what was raised.
            _log.error("%s failed, and gets them again", await self._describe())
            raise
        finally:
            self._at = ()

    async def _watch(self) -> None:
        """Log calls that do not return."""
        while True:
            await anyio.sleep(self._patience)
            took = time.monotonic() - self._since
            if self._at and took >= self._patience:
                _log.warning("%s has not returned for %.0f s", await self._describe(), took)

    async def _describe(self) -> str:
        first, last = self._at[0], self._at[-1]
        name = self._descriptor.name
        behind = sum([c.behind for c in await self._changes.cursors() if c.consumer == name])
        return (
            f"change consumer {name}, at changes {first.sequence} to {last.sequence} "
            f"(study {first.study_instance_uid}; {behind} are not done)"
        )
