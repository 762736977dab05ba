"""The contract of an object store: where Part 10 objects lie, byte for byte."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Self

from attrs import frozen

from pacs_core.contracts.component import Component
from pacs_core.contracts.instance import InstanceIdentity

CHUNK_SIZE = 256 * 1024


class ObjectNotFoundError(LookupError):
    """No object has this key."""


class ObjectExistsError(Exception):
    """An object with the key that a commit would take exists already.

    Attributes
    ----------
    key : str
        The key that is taken.
    """

    def __init__(self, key: str) -> None:
        super().__init__(f"the object store already holds {key!r}")
        self.key = key


class DamagedObjectError(OSError):
    """An object is not what was stored: nothing more of it is handed out."""


class StorageFullError(OSError):
    """The store has no room for the object; the sender gets A700 (PS3.4 Table B.2-1)."""


@frozen
class StoredObject:
    """A committed object: its key, and its size in bytes."""

    key: str
    size: int


class ObjectWriter(ABC):
    """One object on its way into the store.

    An async context manager: leaving it without :meth:`commit`, by an exception or by
    cancellation, leaves no trace of the object.
    """

    @abstractmethod
    async def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        """Append chunks.

        The writer may hold up to about 1 MiB before it does input or output; more must wait
        (back-pressure). Chunks stay valid and unchanged until the writer is done.

        Raises
        ------
        StorageFullError
            There is no room.
        """

    @abstractmethod
    async def commit(self, variant: str = "", *, beginning: bytes = b"") -> StoredObject:
        """Make the object visible, whole, under its key; durable when this returns.

        Parameters
        ----------
        variant : str
            Distinguishes objects of one SOP Instance UID. Letters and digits only.
        beginning : bytes
            Takes the place of as many bytes at the start of the object: what is known only at its
            end, such as a digest, where room was left for it. At most the first 64 KiB; a store
            that cannot change what it has passed on holds so much back.

        Raises
        ------
        ValueError
            The beginning is longer than what was written, or no store makes such a variant.
        ObjectExistsError
            The key is taken: nothing was changed, and the writer may be committed again with
            another variant. Of two writers that race for a key exactly one succeeds.
        StorageFullError
            There is no room.
        """

    @abstractmethod
    async def abort(self) -> None:
        """Forget the object. Idempotent; does nothing after a commit."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.abort()


class ObjectReader(ABC):
    """An open object. An async context manager that closes it."""

    size: int
    """Size of the object in bytes."""

    @abstractmethod
    async def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes from `offset`, fewer only at the end of the object."""

    @abstractmethod
    async def close(self) -> None:
        """Release the object. Idempotent."""

    async def chunks(self, offset: int = 0, size: int = CHUNK_SIZE) -> AsyncIterator[bytes]:
        """Iterate over the object from `offset` in chunks of `size` bytes."""
        while chunk := await self.read(offset, size):
            offset += len(chunk)
            yield chunk

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


async def with_beginning(
    reader: ObjectReader, offset: int, length: int
) -> tuple[ObjectReader, bytes]:
    """Return a reader and what it reads at `offset`; it is closed if it cannot read."""
    try:
        return reader, await reader.read(offset, length)
    except BaseException:
        await reader.close()
        raise


class ObjectStore(Component, ABC):
    """Holds objects under keys that it derives from validated UIDs.

    - An object is whole or absent at every instant, also after a crash.
    - A store never overwrites: committing to a key that is taken fails.
    - Every method may be called concurrently from one event loop, and, if :attr:`shared`, from
      many processes at once. No method blocks the event loop.
    - Cancellation is safe at every await: nothing half-written stays.
    """

    shared: bool = False
    """Whether many processes may use the same store at once."""

    @abstractmethod
    def writer(self, identity: InstanceIdentity, *, durable: bool = True) -> ObjectWriter:
        """Begin an object; no input or output happens yet.

        Parameters
        ----------
        identity : InstanceIdentity
            Validated UIDs, from which the key is derived.
        durable : bool
            Whether the object must survive a power failure once :meth:`ObjectWriter.commit`
            has returned. Otherwise it survives the death of every process, and a power failure
            may take any part of it until it is flushed.
        """

    async def flush(self, keys: Sequence[str]) -> None:
        """Make objects durable that were committed with ``durable=False``.

        Keys that name no object (any more) are passed over; flushing again is harmless. A store
        whose objects are durable anyhow need not override this.

        Raises
        ------
        OSError
            Some could not be flushed, and it is not known which. Flushing all of them again must
            not succeed before their content is on disk, whatever has become of it in the
            operating system's memory.
        StorageFullError
            There is no room.
        """

    @abstractmethod
    async def open(self, key: str) -> ObjectReader:
        """Open an object for reading.

        Raises
        ------
        ObjectNotFoundError
            There is none, or `key` is not one that this store could have made.
        """

    async def open_and_read(self, key: str, offset: int, length: int) -> tuple[ObjectReader, bytes]:
        """Do the same as :meth:`open`, and then as :meth:`ObjectReader.read`.

        Override it where the two cost less in one step than one after the other.
        """
        return await with_beginning(await self.open(key), offset, length)

    @abstractmethod
    async def delete(self, key: str) -> None:
        """Remove an object.

        Raises
        ------
        ObjectNotFoundError
            There is none.
        """

    @abstractmethod
    def objects(self) -> AsyncIterator[StoredObject]:
        """Iterate over all committed objects, in no particular order, in bounded memory."""
