"""The contract of an object store: where Part 10 objects lie, byte for byte."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from attrs import field, frozen

from pacs_core.contracts.availability import Availability, NotOnlineError
from pacs_core.contracts.component import Component
from pacs_core.contracts.inspection import QueueStatus
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
    """A committed object.

    Attributes
    ----------
    key : str
    size : int
        In bytes.
    identity : str
        What tells this object from another that had, or will have, its key, as far as the store
        knows: an ETag, a version, the number of a file. Empty if it knows nothing. The kernel does
        not look at it, and it makes no two objects different.
    """

    key: str
    size: int
    identity: str = field(default="", eq=False)


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
    def key(self, variant: str = "") -> str:
        """Return the key that :meth:`commit` gives to this variant; known from the start.

        Whoever wraps a store learns here what the object will be called, such as to bind it to
        its name, or to look whether the name is taken elsewhere.

        Raises
        ------
        ValueError
            No store makes such a variant.
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
    always_online: bool = True
    """Whether every object can be read at once. Then nobody asks for :meth:`availability`."""
    gains_by_journal: bool = False
    """Whether objects become durable by syncs of a local disk, and may lie there once more as they
    were received: then the archive keeps a journal, unless it is configured not to."""

    @property
    def directories(self) -> Sequence[Path]:
        """Local directories into which new objects go: the kernel watches the free space there."""
        return () if self.directory is None else (self.directory,)

    @property
    def queues(self) -> Sequence[QueueStatus]:
        """Where work waits in the store, such as objects that are not where they are to stay."""
        return ()

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

    @abstractmethod
    def writer_at(self, key: str, *, durable: bool = True) -> ObjectWriter:
        """Begin a copy of an object of another store that makes the same keys.

        So a store over others moves what it knows by its key alone. All is as with :meth:`writer`,
        but the key is given, and there are no variants of it.

        Raises
        ------
        ValueError
            `key` is not one that this store could have made.
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

    async def deposit(self, keys: Sequence[str]) -> None:
        """Return once objects are where they are to stay, such as before that is promised.

        A store that acknowledges objects elsewhere first, such as on a disk of the node, overrides
        this, and brings these before all others. Keys that name no object (any more) are passed
        over.

        Raises
        ------
        OSError
            Some could not be brought there in time.
        """

    @abstractmethod
    async def open(self, key: str) -> ObjectReader:
        """Open an object for reading.

        Raises
        ------
        ObjectNotFoundError
            There is none, or `key` is not one that this store could have made.
        NotOnlineError
            There is one that must be recalled first; nothing is waited for.
        """

    async def open_and_read(self, key: str, offset: int, length: int) -> tuple[ObjectReader, bytes]:
        """Do the same as :meth:`open`, and then as :meth:`ObjectReader.read`.

        Override it where the two cost less in one step than one after the other.
        """
        return await with_beginning(await self.open(key), offset, length)

    @abstractmethod
    async def delete(self, key: str) -> None:
        """Remove an object, wherever it is.

        Raises
        ------
        ObjectNotFoundError
            There is none.
        """

    @abstractmethod
    def objects(self) -> AsyncIterator[StoredObject]:
        """Iterate over all committed objects, in no particular order, in bounded memory.

        One that is moved within the store meanwhile may come twice; none is left out that is there
        all the time.
        """

    async def variants(self, key: str) -> Sequence[str]:
        """Return the keys of the other objects of an object's identity, its other variants.

        What was set aside of an instance is found so when the instance is deleted. Nothing is
        opened. A store that cannot tell without looking at all of its objects returns none, as this
        default does: `pacs index verify` names what is left then.
        """
        return ()

    # --- what is not online; a store that keeps all of it online need not know of this

    async def availability(self, keys: Sequence[str]) -> Sequence[Availability]:
        """Tell of each of some objects how soon it can be read; ``UNAVAILABLE`` if there is none.

        Asked for all instances of a study at once. This default opens each object.
        """
        return [await self._availability(key) for key in keys]

    async def _availability(self, key: str) -> Availability:
        try:
            async with await self.open(key):
                return Availability.ONLINE
        except ObjectNotFoundError:
            return Availability.UNAVAILABLE
        except NotOnlineError as error:
            return error.availability

    async def recall(self, keys: Sequence[str]) -> AsyncIterator[str]:
        """Bring objects online, in whatever order suits the medium; yields each that is.

        What is online already is yielded, too; what is ``OFFLINE`` or ``UNAVAILABLE``, or cannot
        be brought, is passed over. The caller knows for how long it waits, and closes the iterator
        then; many may wait for one object at once. What was recalled should stay online for as
        long as it takes to read it. This default yields what is online.
        """
        for key, availability in zip(keys, await self.availability(keys), strict=True):
            if availability is Availability.ONLINE:
                yield key
