"""Metadata of instances: those that the index keeps, and those that are made of the objects.

How it works: the index keeps for each instance the bytes that a request would otherwise make of
its header. Nothing is made on the way of a C-STORE. A service of the node, :class:`Preparation`,
asks the index every second for instances without metadata, and makes them some at a time; while
instances arrive in its own process, few and seldom. Whoever asks for metadata that are not there
yet gets them made on the spot, and then they are kept as well. There is nothing to recover: what
is not kept is lacking, and is made again after a crash, a rebuild or a migration.

An index that replaces, removes or forgets changes its revision, and keeps nothing that was made
before: so the metadata of what was never outlive it.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeAlias

import anyio
from anyio import to_thread
from attrs import define, field

from pacs_core.concurrency import closing, common_moment, without_collection
from pacs_core.contracts import (
    METADATA_LIMITS,
    DamagedObjectError,
    Index,
    InstanceHeader,
    InstanceNotFoundError,
    LackingMetadata,
    NotOnlineError,
    PreparedMetadata,
    Query,
    Service,
    Started,
    StoredInstance,
    encode_metadata,
    identity_metadata,
)
from pacs_core.dataset import MalformedDataset, ReadLimits

_log = logging.getLogger(__name__)

METADATA_FORM: Final = "1"
"""To be changed with whatever changes the bytes that are made of a header."""
MAX_KEPT: Final = 1 << 20
"""Bytes of metadata beyond which they are made with each request, and not kept."""

_BATCH: Final = 32
_LONG_HEADER: Final = 64 << 10  # bytes; making JSON of more would hold the event loop up
_UNREADABLE: Final = (MalformedDataset, InstanceNotFoundError, DamagedObjectError, OSError)

ReadHeader: TypeAlias = Callable[[StoredInstance, ReadLimits], Awaitable[InstanceHeader]]
Kept: TypeAlias = list[tuple[StoredInstance, bytes | None]]


@define
class MetadataSource:
    """Gives metadata, and makes what is lacking.

    Parameters
    ----------
    index : Index
    read_header : callable
        Reads the header of an instance, as the archive hands it out.
    prepared : PreparedMetadata or None
        Of that index; None if metadata are not to be kept.
    """

    _index: Index
    _read_header: ReadHeader
    prepared: PreparedMetadata | None

    async def find(self, query: Query) -> AsyncIterator[tuple[StoredInstance, bytes]]:
        """Iterate over instances and their metadata, see :meth:`Archive.metadata`."""
        if self.prepared is None:
            async with closing(self._index.instances(query)) as instances:
                async for instance in instances:
                    yield instance, await self.make(instance) or identity_of(instance)
            return
        fresh = _Fresh(self.prepared)
        async with closing(self.prepared.find(query)) as found:
            async for instance, kept in found:
                if kept is None:
                    await fresh.begin()
                    made = await self.make(instance)
                    await fresh.add(instance, made)
                    kept = made or identity_of(instance)
                yield instance, kept
        await fresh.keep()

    async def make(self, instance: StoredInstance) -> bytes | None:
        """Return metadata made of the object; None if it cannot be read, which is logged."""
        with without_collection(instance.size):
            try:
                header = await self._read_header(instance, METADATA_LIMITS)
            except NotOnlineError:
                return None  # there may be very many; who asks for one waits until it is recalled
            except _UNREADABLE as error:
                uid, key = instance.identity.sop_instance_uid, instance.key
                _log.warning("there are no metadata of instance %s (%s): %s", uid, key, error)
                return None
            if _length(header, instance) > _LONG_HEADER:
                made = await to_thread.run_sync(encode_metadata, header)
            else:
                made = encode_metadata(header)
            del header
            return made


def _length(header: InstanceHeader, instance: StoredInstance) -> int:
    return header.pixel_data_offset if header.pixel_data else instance.size


def identity_of(instance: StoredInstance) -> bytes:
    """Return the metadata of an instance whose object cannot be read."""
    return identity_metadata(instance.identity)


@define
class _Fresh:
    """Metadata that were made for a request, on their way to the index."""

    _prepared: PreparedMetadata
    _made: Kept = field(factory=list)
    _revision: int | None = None

    async def begin(self) -> None:
        """Note the revision before anything is read."""
        if self._revision is None:
            self._revision = await self._prepared.revision()

    async def add(self, instance: StoredInstance, made: bytes | None) -> None:
        """Add what was made; keep it with others."""
        self._made.append(_to_keep(instance, made))
        if len(self._made) >= _BATCH:
            await self.keep()

    async def keep(self) -> None:
        """Keep what has gathered; what cannot be kept is made again."""
        if self._made and self._revision is not None:
            try:
                await self._prepared.keep(self._made, self._revision)
            except Exception as error:
                _log.warning("metadata of %d instances are not kept: %s", len(self._made), error)
        self._made, self._revision = [], None


def _to_keep(instance: StoredInstance, made: bytes | None) -> tuple[StoredInstance, bytes | None]:
    return instance, made if made is not None and len(made) <= MAX_KEPT else None


LOOK_AGAIN: Final = 1.0
"""Seconds between looks for instances without metadata, once there were none."""
_SELDOM: Final = 4  # times as long, while nothing happens
_BUSY_PAUSE: Final = 2.0  # seconds between batches while instances arrive
_BUSY_BATCH: Final = 8
_LONGEST_PAUSE: Final = 60.0


@define(eq=False, slots=False)
class Preparation(Service):
    """Makes metadata that are lacking, one process for all of the node.

    Parameters
    ----------
    source : MetadataSource
    ingested : callable
        Returns how many instances this process has ingested, to tell whether it is busy.
    """

    source: MetadataSource
    ingested: Callable[[], int]

    async def run(self, started: Started) -> None:
        """Prepare until cancelled."""
        started()
        assert self.source.prepared is not None  # noqa: S101 - for the type checker
        seen, pause = self.ingested(), LOOK_AGAIN
        while True:
            await anyio.sleep_until(common_moment(pause))
            busy, seen = self.ingested() != seen, self.ingested()
            try:
                lacking = await self.source.prepared.lacking(_BUSY_BATCH if busy else _BATCH)
                kept = await self._make(self.source.prepared, lacking)
            except Exception as error:
                # The disk is full, or the index busy: nothing that others would not say as well.
                pause = min(max(2 * pause, LOOK_AGAIN), _LONGEST_PAUSE)
                _log.warning("no metadata are prepared for %g s: %s", pause, error)
                continue
            if kept:
                pause = _BUSY_PAUSE if busy else 0.0
            else:  # other processes may store what has none, but seldom where nothing happens
                longest = LOOK_AGAIN if busy else _SELDOM * LOOK_AGAIN
                pause = min(max(2 * pause, LOOK_AGAIN), longest)

    async def _make(self, prepared: PreparedMetadata, lacking: LackingMetadata) -> bool:
        """Make and keep metadata; tell whether there may be more to do at once."""
        made = Kept()
        before = self.ingested()
        for instance in lacking.instances:
            made.append(_to_keep(instance, await self.source.make(instance)))
            if self.ingested() != before and len(made) >= _BUSY_BATCH:
                break
            await anyio.lowlevel.checkpoint()
        return bool(made) and await prepared.keep(made, lacking.revision)
