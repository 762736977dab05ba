"""The object of an incoming instance on its way into the store."""

from types import TracebackType
from typing import Self

from pacs_core.archive.fixity import FIRST
from pacs_core.archive.incoming_instance import Chunk, IncomingInstance
from pacs_core.contracts import ObjectWriter, StoredObject


class InstanceWriter:
    """Writes a Part 10 object (PS3.10 §7): file meta information, then the dataset as it came.

    An async context manager: leaving it without :meth:`commit` leaves no trace of the object.

    Parameters
    ----------
    writer : ObjectWriter
    incoming : IncomingInstance
    ae_title : str
        Of the node that writes.
    """

    def __init__(self, writer: ObjectWriter, incoming: IncomingInstance, ae_title: str) -> None:
        self._writer = writer
        self._arrival = incoming
        self._prefix = incoming.prefix(ae_title)
        self.write = writer.write

    async def begin(self, *chunks: Chunk) -> None:
        """Write what precedes the dataset, and its first chunks."""
        await self.write([self._prefix, *chunks])

    async def commit(self, variant: str = "", rank: int = FIRST) -> StoredObject:
        """Commit the object with the digest of the dataset, all of which has arrived."""
        beginning = self._arrival.sealed(self._prefix, rank)
        return await self._writer.commit(variant, beginning=beginning)

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Forget what was not committed."""
        await self._writer.abort()
