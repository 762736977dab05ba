"""Objects that are not online, recalled for whoever opens them or is about to.

The archive, and every command, opens objects through a store that recalls: whoever opens one from
slow media waits a little longer, and need not know. A retrieval of many asks for all of them first,
so that the store may fetch them in the order of the medium. It is waited for as long as one after
the other comes; what was given up is not waited for again at once, so that a thousand instances of
a broken tape do not take a thousand times as long to fail.
"""

import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from typing import Final

import anyio
from attrs import define, field

from pacs_core.archive.settings import RECALL_TIMEOUT
from pacs_core.concurrency import closing
from pacs_core.contracts import (
    Availability,
    Index,
    NotOnlineError,
    ObjectNotFoundError,
    ObjectReader,
    ObjectStore,
    Query,
    RecallProgress,
    RecallReport,
    StoredInstance,
    WrappingStore,
)

# Theory of operation
#
# Nothing above this module knows that an object can be away. A store that says it is not always
# online is wrapped, and the wrapper turns "not online" into waiting. So every reader waits, also
# those of plugins, and only those who must not (`is_online`) ask first.
#
# How long to wait cannot be a number of seconds for a thousand objects. What counts is that
# something happens: a recall is given up when nothing has come for the whole of the timeout,
# however much came before. An object that was given up is remembered for a moment, and refused at
# once within it; otherwise each instance of a study on a broken tape would wait for the timeout,
# one after the other. The memory is short, because a robot may be repaired, and bounded.
#
# Many are asked for at once wherever it is known which: a tape drive that is given a thousand keys
# reads them in the order of the tape, one that is given one key after the other winds.

_log = logging.getLogger(__name__)

REPORT_INTERVAL: Final = 1.0
"""Seconds between reports of a recall's progress."""
_MEMORY: Final = 30.0  # seconds for which what was given up is not waited for again
_REMEMBERED: Final = 10_000
_AT_ONCE: Final = 1000


def recalling(store: ObjectStore, timeout: float = RECALL_TIMEOUT) -> ObjectStore:
    """Return a store that recalls what is opened; the same one if all of it is online."""
    if store.always_online or isinstance(store, RecallingStore):
        return store
    return RecallingStore(store, timeout)


async def is_online(store: ObjectStore, key: str) -> bool:
    """Tell whether an object can be read without being recalled."""
    return store.always_online or (await store.availability([key]))[0] is Availability.ONLINE


async def has_object(store: ObjectStore, key: str) -> bool:
    """Tell whether there is an object, online or not."""
    if not store.always_online:
        return (await store.availability([key]))[0] is not Availability.UNAVAILABLE
    try:
        async with await store.open(key):
            return True
    except ObjectNotFoundError:
        return False


@define
class _Recall:
    """A recall under way."""

    waiting: dict[str, None]
    progress: RecallProgress
    advanced: float = field(factory=anyio.current_time)
    ended: anyio.Event = field(factory=anyio.Event)

    async def run(self, store: ObjectStore) -> None:
        async with closing(store.recall(list(self.waiting))) as recalled:
            async for key in recalled:
                # Stores may name what was not asked for, or name it twice.
                if key in self.waiting:
                    del self.waiting[key]
                    self.progress.online += 1
                    self.advanced = anyio.current_time()
        self.ended.set()


class RecallingStore(WrappingStore):
    """A store of which objects are recalled when they are opened.

    Parameters
    ----------
    wrapped : ObjectStore
    timeout : float
        See :data:`RECALL_TIMEOUT`.
    """

    def __init__(self, wrapped: ObjectStore, timeout: float) -> None:
        super().__init__(wrapped)
        self.directory = wrapped.directory
        self._timeout = timeout
        self._given_up: OrderedDict[str, float] = OrderedDict()

    async def open(self, key: str) -> ObjectReader:
        """Open an object, once it is online.

        Raises
        ------
        NotOnlineError
            It did not come.
        """
        try:
            return await self.wrapped.open(key)
        except NotOnlineError as error:
            await self._bring(error)
        return await self.wrapped.open(key)

    async def open_and_read(self, key: str, offset: int, length: int) -> tuple[ObjectReader, bytes]:
        """Open an object, once it is online, and read from it."""
        try:
            return await self.wrapped.open_and_read(key, offset, length)
        except NotOnlineError as error:
            await self._bring(error)
        return await self.wrapped.open_and_read(key, offset, length)

    async def _bring(self, error: NotOnlineError) -> None:
        # Offline means that somebody must fetch a medium: no waiting brings it.
        if error.availability is not Availability.NEARLINE:
            raise error
        if self._given_up.get(error.key, 0.0) > anyio.current_time():
            raise NotOnlineError(error.key, error.availability, "it was given up a moment ago")
        if not (await self.bring([error.key], RecallProgress())).online:
            raise NotOnlineError(error.key, error.availability, "it did not come when recalled")

    async def bring(
        self, keys: Sequence[str], progress: RecallProgress, report: RecallReport | None = None
    ) -> RecallProgress:
        """Recall objects, and wait until they are online, or do not come.

        Parameters
        ----------
        keys : sequence of str
        progress : RecallProgress
            To go on with; it is kept up to date.
        report : callable, optional
            Told of it every moment.
        """
        recall = _Recall(dict.fromkeys(keys), progress)
        before, progress.waiting = progress.failed, len(recall.waiting)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(recall.run, self.wrapped)
            while not recall.ended.is_set():
                if anyio.current_time() - recall.advanced >= self._timeout:
                    break
                if report is not None:
                    progress.waiting = len(recall.waiting)
                    await report(progress)
                # Not longer than the timeout, or a short one would never be noticed in time.
                with anyio.move_on_after(min(REPORT_INTERVAL, self._timeout)):
                    await recall.ended.wait()
            tasks.cancel_scope.cancel()
        progress.failed, progress.waiting = before + len(recall.waiting), 0
        if recall.waiting:
            some = next(iter(recall.waiting))
            _log.error("%d objects did not come when recalled, as %s", len(recall.waiting), some)
            self._remember(recall.waiting)
        return progress

    def _remember(self, keys: Iterable[str]) -> None:
        until = anyio.current_time() + _MEMORY
        self._given_up |= dict.fromkeys(keys, until)
        while len(self._given_up) > _REMEMBERED:
            self._given_up.popitem(last=False)


async def least_available(store: ObjectStore, index: Index, query: Query) -> Availability:
    """Return the availability of the least rapidly available instance (PS3.4 C.4.1.1.3.2)."""
    if store.always_online:
        return Availability.ONLINE
    least: Availability | None = None
    async with aclosing(_some_instances(index, query)) as batches:
        async for instances in batches:
            # Some at a time: a query may match a million instances.
            found = set(await store.availability([each.key for each in instances]))
            least = max(found | ({least} if least else set()), key=_rank)
            if least is Availability.UNAVAILABLE:
                break
    return least or Availability.UNAVAILABLE


async def least_available_each(
    store: ObjectStore, index: Index, query: Query, entities: Sequence[tuple[str, ...]]
) -> Sequence[Availability]:
    """Return the same of each of several entities, see :meth:`Archive.availabilities`."""
    if store.always_online:
        return [Availability.ONLINE] * len(entities)
    wanted = set(entities)
    length = max(map(len, wanted), default=0)
    least: dict[tuple[str, ...], Availability] = {}
    async with aclosing(_some_instances(index, query)) as batches:
        async for instances in batches:
            found = await store.availability([each.key for each in instances])
            for instance, availability in zip(instances, found, strict=True):
                identity = instance.identity
                entity = (
                    identity.study_instance_uid,
                    identity.series_instance_uid,
                    identity.sop_instance_uid,
                )[:length]
                if entity in wanted:
                    least[entity] = max(least.get(entity, availability), availability, key=_rank)
    return [least.get(each, Availability.UNAVAILABLE) for each in entities]


def _rank(availability: Availability) -> int:
    return availability.rank


async def recall_all(
    store: ObjectStore, index: Index, query: Query, report: RecallReport | None
) -> RecallProgress:
    """Bring the instances that match online, see :meth:`Archive.recall`."""
    progress = RecallProgress()
    if not isinstance(store, RecallingStore):
        return progress
    async with aclosing(_some_instances(index, query)) as batches:
        async for instances in batches:
            keys = [each.key for each in instances]
            found = zip(keys, await store.availability(keys), strict=True)
            away = [key for key, where in found if where is Availability.NEARLINE]
            if away:
                await store.bring(away, progress, report)
    return progress


async def _some_instances(index: Index, query: Query) -> AsyncGenerator[list[StoredInstance], None]:
    """Iterate over the instances that match, many at a time."""
    some: list[StoredInstance] = []
    async with closing(index.instances(query)) as instances:
        async for instance in instances:
            some.append(instance)
            if len(some) == _AT_ONCE:
                yield some
                some = []
    if some:
        yield some
