"""An object store that is a dictionary."""

from collections.abc import AsyncIterator, Sequence

from anyio.lowlevel import checkpoint

from pacs_core.contracts import (
    InstanceIdentity,
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectReader,
    ObjectStore,
    ObjectWriter,
    StorageFullError,
    StoredObject,
)


class MemoryWriter(ObjectWriter):
    """Gathers chunks until they are committed."""

    def __init__(self, store: "MemoryStore", identity: InstanceIdentity) -> None:
        self._store = store
        self._stem = "/".join(
            (
                identity.study_instance_uid,
                identity.series_instance_uid,
                identity.sop_instance_uid,
            )
        )
        self._data = bytearray()
        self._done = False

    async def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        """Append chunks."""
        await checkpoint()
        self._refuse_if_done()
        for chunk in chunks:
            self._store.reserve(len(self._data) + len(chunk))
            self._data += chunk

    async def commit(self, variant: str = "", *, beginning: bytes = b"") -> StoredObject:
        """Make the object visible."""
        await checkpoint()
        self._refuse_if_done()
        if variant and not (variant.isascii() and variant.isalnum()):
            raise ValueError(f"a variant has letters and digits only, not {variant!r}")
        if len(beginning) > len(self._data):
            raise ValueError(f"a beginning of {len(beginning)} bytes in {len(self._data)} bytes")
        self._data[: len(beginning)] = beginning
        key = f"{self._stem}+{variant}.dcm" if variant else f"{self._stem}.dcm"
        self._store.put(key, bytes(self._data))
        self._done = True
        return StoredObject(key, len(self._data))

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
    """

    def __init__(
        self, capacity: int | None = None, objects: dict[str, bytes] | None = None
    ) -> None:
        self._objects: dict[str, bytes] = {} if objects is None else objects
        self._capacity = capacity

    def writer(self, identity: InstanceIdentity, *, durable: bool = True) -> MemoryWriter:
        """Begin an object."""
        return MemoryWriter(self, identity)

    def reserve(self, size: int) -> None:
        """Refuse an object for which there is no room."""
        if self._capacity is not None and size + self._size() > self._capacity:
            raise StorageFullError(f"the memory store is limited to {self._capacity} bytes")

    def _size(self) -> int:
        return sum(len(data) for data in self._objects.values())

    def put(self, key: str, data: bytes) -> None:
        """Add a whole object, never over another."""
        if key in self._objects:
            raise ObjectExistsError(key)
        self.reserve(len(data))
        self._objects[key] = data

    async def open(self, key: str) -> MemoryReader:
        """Open an object for reading."""
        await checkpoint()
        return MemoryReader(self._get(key))

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

    async def objects(self) -> AsyncIterator[StoredObject]:
        """Iterate over all objects, as they were at the start."""
        for key, data in list(self._objects.items()):
            await checkpoint()
            yield StoredObject(key, len(data))
