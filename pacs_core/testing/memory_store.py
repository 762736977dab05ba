"""An object store that is a dictionary; objects can be sent to tape, and are recalled from it."""

import re
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Final

from anyio.lowlevel import checkpoint

from pacs_core.contracts import (
    Availability,
    InstanceIdentity,
    NotOnlineError,
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectReader,
    ObjectStore,
    ObjectWriter,
    StorageFullError,
    StoredObject,
)

_KEY: Final = re.compile(r"([0-9.]{1,64}/){2}[0-9.]{1,64}(\+[0-9A-Za-z]{1,64})?\.dcm", re.ASCII)

_VARIANT: Final = re.compile(r"[0-9A-Za-z]{1,64}", re.ASCII)


class MemoryWriter(ObjectWriter):
    """Gathers chunks until they are committed."""

    def __init__(self, store: "MemoryStore", stem: str, *, copy: bool = False) -> None:
        self._store = store
        self._stem = stem
        self._copy = copy
        self._data = bytearray()
        self._done = False

    async def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        """Append chunks."""
        await checkpoint()
        self._refuse_if_done()
        for chunk in chunks:
            self._store.reserve(len(self._data) + len(chunk))
            self._data += chunk

    def key(self, variant: str = "") -> str:
        """Return the key of a variant."""
        if variant and (self._copy or _VARIANT.fullmatch(variant) is None):
            raise ValueError(f"a variant has at most 64 letters and digits, not {variant!r}")
        return f"{self._stem}+{variant}.dcm" if variant else f"{self._stem}.dcm"

    async def commit(self, variant: str = "", *, beginning: bytes = b"") -> StoredObject:
        """Make the object visible."""
        await checkpoint()
        self._refuse_if_done()
        key = self.key(variant)
        if len(beginning) > len(self._data):
            raise ValueError(f"a beginning of {len(beginning)} bytes in {len(self._data)} bytes")
        self._data[: len(beginning)] = beginning
        stored = self._store.put(key, bytes(self._data))
        self._done = True
        return stored

    async def abort(self) -> None:
        """Forget the object."""
        self._done = True
        self._data.clear()

    def _refuse_if_done(self) -> None:
        if self._done:
            raise RuntimeError("the object was committed or aborted already")


class MemoryReader(ObjectReader):
    """Reads an object, also after it was deleted, as from an open file."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    async def read(self, offset: int, length: int) -> bytes:
        """Return a piece of the object."""
        await checkpoint()
        return self._data[offset : offset + length]

    async def close(self) -> None:
        """Release the object."""
        self._data = b""


class MemoryStore(ObjectStore):
    """Keeps objects in a dictionary.

    Parameters
    ----------
    capacity : int or None
        Bytes that it holds at most.
    objects : dict or None
        Where to keep them; stores that are given the same dictionary hold the same objects.
    always_online : bool
        Give False to send objects away.

    Attributes
    ----------
    away : dict of str to Availability
        Objects that are not online, by key, and how soon they can be; see :meth:`send_away`.
    recalls : list of tuple of str
        What was recalled.
    """

    def __init__(
        self,
        capacity: int | None = None,
        objects: dict[str, bytes] | None = None,
        *,
        always_online: bool = True,
    ) -> None:
        self.always_online = always_online
        self._objects: dict[str, bytes] = {} if objects is None else objects
        self._capacity = capacity
        self._versions: dict[str, int] = {}
        self._count = 0
        self.away: dict[str, Availability] = {}
        self.recalls: list[tuple[str, ...]] = []

    def writer(self, identity: InstanceIdentity, *, durable: bool = True) -> MemoryWriter:
        """Begin an object."""
        uids = (
            identity.study_instance_uid,
            identity.series_instance_uid,
            identity.sop_instance_uid,
        )
        return MemoryWriter(self, "/".join(uids))

    def writer_at(self, key: str, *, durable: bool = True) -> MemoryWriter:
        """Begin a copy."""
        if _KEY.fullmatch(key) is None:
            raise ValueError(f"not a key of this store: {key[:150]!r}")
        return MemoryWriter(self, key.removesuffix(".dcm"), copy=True)

    def reserve(self, size: int) -> None:
        """Refuse an object for which there is no room."""
        if self._capacity is not None and size + self._size() > self._capacity:
            raise StorageFullError(f"the memory store is limited to {self._capacity} bytes")

    def _size(self) -> int:
        return sum(len(data) for data in self._objects.values())

    def put(self, key: str, data: bytes) -> StoredObject:
        """Add a whole object, never over another."""
        if key in self._objects:
            raise ObjectExistsError(key)
        self.reserve(len(data))
        self._objects[key] = data
        self._count += 1
        self._versions[key] = self._count
        return self._describe(key)

    def _describe(self, key: str) -> StoredObject:
        return StoredObject(key, len(self._objects[key]), str(self._versions.get(key, "")))

    def send_away(
        self, keys: Iterable[str], availability: Availability = Availability.NEARLINE
    ) -> None:
        """Take objects offline, as a robot with tapes would."""
        self.away |= dict.fromkeys(keys, availability)

    async def open(self, key: str) -> MemoryReader:
        """Open an object for reading."""
        await checkpoint()
        data = self._get(key)
        if key in self.away:
            raise NotOnlineError(key, self.away[key])
        return MemoryReader(data)

    def _get(self, key: str) -> bytes:
        try:
            return self._objects[key]
        except KeyError:
            raise ObjectNotFoundError(f"there is no object {key!r}") from None

    async def delete(self, key: str) -> None:
        """Remove an object."""
        await checkpoint()
        self._get(key)
        del self._objects[key]
        self.away.pop(key, None)

    async def objects(self) -> AsyncIterator[StoredObject]:
        """Iterate over all objects, as they were at the start."""
        for stored in [self._describe(key) for key in self._objects]:
            await checkpoint()
            yield stored

    async def variants(self, key: str) -> Sequence[str]:
        """Return the keys of an object's other variants."""
        await checkpoint()
        base = _base(key)
        return [other for other in self._objects if other != key and _base(other) == base]

    async def availability(self, keys: Sequence[str]) -> Sequence[Availability]:
        """Tell how soon objects can be read."""
        await checkpoint()
        return [self._availability_of(key) for key in keys]

    def _availability_of(self, key: str) -> Availability:
        if key not in self._objects:
            return Availability.UNAVAILABLE
        return self.away.get(key, Availability.ONLINE)

    async def recall(self, keys: Sequence[str]) -> AsyncIterator[str]:
        """Bring objects online."""
        self.recalls.append(tuple(keys))
        for key in keys:
            await checkpoint()
            if self._availability_of(key) in {Availability.ONLINE, Availability.NEARLINE}:
                self.away.pop(key, None)
                yield key


def _base(key: str) -> str:
    return key.removesuffix(".dcm").partition("+")[0]
