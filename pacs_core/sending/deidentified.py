"""Instances on their way to a peer that gets them de-identified only (PS3.15 Annex E)."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from attrs import define, field

from pacs_core.concurrency import closing
from pacs_core.contracts import (
    CHUNK_SIZE,
    Archive,
    Capabilities,
    DeidentificationRefusedError,
    DeidentifiedInstance,
    Deidentifier,
    InstanceNotFoundError,
    ObjectReader,
    Peer,
    StoredInstance,
)
from pacs_core.sending.read_ahead import PREFETCH, MissingInstance, Outgoing

# Theory of operation
#
# What the configuration says of a peer holds for whatever sends to it, and however it is asked. So
# it is done where objects are opened, before anything is planned or converted. It fails closed:
# without a de-identifier, or where that refuses, nothing of the instance goes out.


async def load_deidentified(
    archive: Archive, capabilities: Capabilities, peer: Peer, instance: StoredInstance
) -> Outgoing | MissingInstance:
    """Open what is made of an instance, or say why it cannot be sent."""
    if not capabilities.provides(Deidentifier):
        return MissingInstance(instance, f"nothing here de-identifies, as {peer.name} needs it")
    deidentifier = capabilities.find(Deidentifier)
    async with AsyncExitStack() as stack:
        try:
            async with await archive.open(instance) as reader:
                made = await stack.enter_async_context(
                    deidentifier.deidentify(reader.chunks(0), peer.deidentify)
                )
            opened = _MadeReader(made, stack.pop_all())
        except (DeidentificationRefusedError, LookupError) as error:
            return MissingInstance(instance, f"not de-identified: {error}")
        except (InstanceNotFoundError, OSError) as error:
            return MissingInstance(instance, str(error))
    try:
        head = await opened.read(made.dataset_offset, PREFETCH)
    except BaseException:
        await opened.close()
        raise
    return Outgoing(instance, head, opened, made.size, made.dataset_offset, made.sop_instance_uid)


@define
class _MadeReader(ObjectReader):
    """Reads what was made of an instance, and has it removed when it is closed."""

    _made: DeidentifiedInstance
    _stack: AsyncExitStack
    size: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.size = self._made.size

    async def read(self, offset: int, length: int) -> bytes:
        """See base."""
        found = bytearray()
        async with closing(self._made.read(offset)) as pieces:
            async for piece in pieces:
                found += piece
                if len(found) >= length:
                    break
        return bytes(found[:length])

    async def chunks(self, offset: int = 0, size: int = CHUNK_SIZE) -> AsyncIterator[bytes]:
        """See base."""
        async with closing(self._made.read(offset)) as pieces:
            async for piece in pieces:
                yield piece

    async def close(self) -> None:
        """See base."""
        await self._stack.aclose()
