"""A store that keeps each object twice: in a store, and in its copy on another machine."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import anyio

from pacs_core.contracts import (
    Availability,
    InstanceIdentity,
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectReader,
    ObjectStore,
    ObjectWriter,
    StorageFullError,
    StoredObject,
    WrappingStore,
    WrappingWriter,
)

# Theory of operation
#
# An object is committed to the copy, then to the store, and is acknowledged once both have it.
# What a crash leaves is in the copy alone, and belongs to what there is: all that is asked is
# answered by both together. So is what is left when one of the two is lost, whichever it is: a
# folder that is empty, or in pieces, is no reason not to serve, and upload, what the other has.
#
# Of two writers that race for a key the copy decides. What the store alone has (its copy was lost)
# is looked for before, so that a key is given once.
#
# Writing is strict: while the copy fails nothing is acknowledged, and senders are told that there
# is no room (A700H), so that they come again. Reading is not: one of the two is enough.

_log = logging.getLogger(__name__)

_CLEANUP: Final = 10.0
"""Seconds for the removal of what was committed to the copy alone."""

T = TypeVar("T")


class MirroredStore(WrappingStore):
    """Keeps objects in a store and in its copy, and has what either has.

    Parameters
    ----------
    store, copy : ObjectStore
        Both are started and stopped by others, and make the same keys.
    name : str
        For messages.
    """

    def __init__(self, store: ObjectStore, copy: ObjectStore, name: str) -> None:
        super().__init__(store)
        self.copy = copy
        self.shared = store.shared and copy.shared
        self._name = name
        self._is_away = False

    async def start(self) -> None:
        """Warn of a copy that is lost with the store."""
        devices = [await _devices(each) for each in (self.wrapped, self.copy)]
        if devices[0] & devices[1]:
            _log.warning(
                "%s: the spool and its copy are on one file system: put the copy on one of another "
                "machine, or who loses the disk loses both",
                self._name,
            )

    @property
    def directories(self) -> Sequence[Path]:
        """See base."""
        return (*self.wrapped.directories, *self.copy.directories)

    def writer(self, identity: InstanceIdentity, *, durable: bool = True) -> ObjectWriter:
        """See base."""
        return self._make_writer(lambda store: store.writer(identity, durable=durable))

    def writer_at(self, key: str, *, durable: bool = True) -> ObjectWriter:
        """See base."""
        return self._make_writer(lambda store: store.writer_at(key, durable=durable))

    def _make_writer(self, make: Callable[[ObjectStore], ObjectWriter]) -> ObjectWriter:
        return MirroringWriter(self, make(self.wrapped), make(self.copy))

    @contextmanager
    def requiring_copy(self) -> Iterator[None]:
        """Say for a ``with`` block that there is no room where the copy fails."""
        try:
            yield
        except (ObjectExistsError, ObjectNotFoundError, StorageFullError):
            raise
        except OSError as error:
            raise StorageFullError(
                f"{self._name}: nothing is taken while the copy of its spool fails: {error}"
            ) from error

    async def flush(self, keys: Sequence[str]) -> None:
        """See base: both."""
        await self.wrapped.flush(keys)
        with self.requiring_copy():
            await self.copy.flush(keys)

    async def open(self, key: str) -> ObjectReader:
        """See base."""
        return await self._first(lambda store: store.open(key))

    async def open_and_read(self, key: str, offset: int, length: int) -> tuple[ObjectReader, bytes]:
        """See base."""
        return await self._first(lambda store: store.open_and_read(key, offset, length))

    async def _first(self, ask: Callable[[ObjectStore], Awaitable[T]]) -> T:
        """Return what the store says, or else what its copy does."""
        try:
            return await ask(self.wrapped)
        except ObjectNotFoundError:
            return await ask(self.copy)
        except OSError as error:
            try:
                return await ask(self.copy)
            except (ObjectNotFoundError, OSError):
                raise error from None

    async def delete(self, key: str) -> None:
        """See base: in both; the copy first, so that what is left is where it is looked for."""
        found = 0
        for store in (self.copy, self.wrapped):
            with suppress(ObjectNotFoundError):
                await store.delete(key)
                found += 1
        if not found:
            raise ObjectNotFoundError(key)

    async def objects(self) -> AsyncIterator[StoredObject]:
        """See base; keys are in memory, of which a spool has few."""
        seen: set[str] = set()
        failure: OSError | None = None
        for store in (self.wrapped, self.copy):
            try:
                async with aclosing(cast(Any, store.objects())) as found:
                    async for stored in found:
                        if stored.key not in seen:
                            seen.add(stored.key)
                            yield stored
            except OSError as error:
                if failure is not None:
                    raise
                failure = error
        self._report(failure)

    def _report(self, failure: OSError | None) -> None:
        if failure is not None and not self._is_away:
            _log.error("%s: the spool has one copy only: %s", self._name, failure)
        elif failure is None and self._is_away:
            _log.info("%s: the spool has both copies again", self._name)
        self._is_away = failure is not None

    async def variants(self, key: str) -> Sequence[str]:
        """See base."""
        both = [*await self.wrapped.variants(key), *await self.copy.variants(key)]
        return list(dict.fromkeys(both))

    async def availability(self, keys: Sequence[str]) -> Sequence[Availability]:
        """See base: of an object that either has."""
        online = Availability.ONLINE
        found = await self.wrapped.availability(keys)
        if all(each is online for each in found):
            return found
        others = await self.copy.availability(keys)
        return [two if one is not online else one for one, two in zip(found, others, strict=True)]

    async def recall(self, keys: Sequence[str]) -> AsyncIterator[str]:
        """See base: all is online."""
        for key, availability in zip(keys, await self.availability(keys), strict=True):
            if availability is Availability.ONLINE:
                yield key


async def _devices(store: ObjectStore) -> set[int]:
    return {(await anyio.Path(each).stat()).st_dev for each in store.directories}


class MirroringWriter(WrappingWriter):
    """Writes into the store and its copy."""

    def __init__(self, store: MirroredStore, wrapped: ObjectWriter, copy: ObjectWriter) -> None:
        super().__init__(wrapped)
        self._store = store
        self._copy = copy

    async def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        """See base."""
        with self._store.requiring_copy():
            await self._copy.write(chunks)
        await super().write(chunks)

    async def commit(self, variant: str = "", *, beginning: bytes = b"") -> StoredObject:
        """See base."""
        key = self.key(variant)
        (found,) = await self._store.wrapped.availability([key])
        if found is not Availability.UNAVAILABLE:
            raise ObjectExistsError(key)
        with self._store.requiring_copy():
            await self._copy.commit(variant, beginning=beginning)
        try:
            return await super().commit(variant, beginning=beginning)
        except BaseException:
            with anyio.move_on_after(_CLEANUP, shield=True), suppress(ObjectNotFoundError, OSError):
                await self._store.copy.delete(key)
            raise

    async def abort(self) -> None:
        """See base."""
        try:
            await self._copy.abort()
        finally:
            await super().abort()
