"""Forms in which instances go to servers of DICOMweb: those that a peer with associations gets.

A Store transaction negotiates nothing (PS3.18 §10.5). So the planner is asked as if the server took
all transfer syntaxes that its table does not exclude. What it then refuses for its transfer syntax,
an instance with Failure Reason C122H (PS3.18 Table I.2-2) or a request with 415, goes once more in
the next best form, and the refused one is not tried again in this run.

The length of a request is known before it is sent, and it may be sent twice. So what is converted
is kept until it has arrived: a little of it in memory, the rest in a file without a name.
"""

import logging
from collections.abc import AsyncIterator
from typing import Final

from attrs import field, frozen

from pacs_core.api.conversion import Spool, image_in
from pacs_core.api.streams import closing
from pacs_core.contracts import (
    Action,
    DicomWebPeer,
    FrameFormat,
    Node,
    ObjectReader,
    Peer,
    Plan,
    StoredInstance,
    TranscodingError,
)
from pacs_core.dataset import ALL_TRANSFER_SYNTAXES, file_meta

logger = logging.getLogger(__name__)

_HEAD: Final = 1 << 20
_IN_MEMORY: Final = 1 << 20
"""Bytes of a converted instance in memory; there may be as many as a request has instances."""


@frozen
class StoredContent:
    """An open object, as the body of a request takes it."""

    instance: StoredInstance
    reader: ObjectReader

    @property
    def size(self) -> int:
        """In bytes."""
        return self.reader.size

    @property
    def sop_instance_uid(self) -> str:
        """Under which it goes out."""
        return self.instance.identity.sop_instance_uid

    @property
    def transfer_syntax_uid(self) -> str:
        """In which it goes out."""
        return self.instance.transfer_syntax_uid

    async def pieces(self) -> AsyncIterator[bytes]:
        """Iterate over the bytes."""
        async with closing(self.reader.chunks(0)) as chunks:
            async for chunk in chunks:
                yield bytes(chunk)

    async def close(self) -> None:
        """Release the object."""
        await self.reader.close()


@frozen
class ConvertedContent:
    """What was made of an object, likewise."""

    instance: StoredInstance
    prefix: bytes
    dataset: Spool
    sop_instance_uid: str
    transfer_syntax_uid: str

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.prefix) + sum(self.dataset.lengths)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Iterate over the bytes."""
        yield self.prefix
        async with closing(self.dataset.chunks()) as chunks:
            async for chunk in chunks:
                yield bytes(chunk)

    async def close(self) -> None:
        """Forget it."""
        self.dataset.close()


@frozen
class WebForms:
    """Chooses forms for a server, and makes them.

    Parameters
    ----------
    node : Node
    server : DicomWebPeer
    """

    _node: Node
    _server: DicomWebPeer
    _refused: set[str] = field(factory=set, init=False)

    async def open(self, instance: StoredInstance) -> StoredContent | ConvertedContent:
        """Return an instance as it goes out; to be closed.

        Raises
        ------
        TranscodingError
            It cannot be had in a form that the server may be sent.
        InstanceNotFoundError, NotOnlineError, OSError
            It cannot be read.
        """
        reader = await self._node.archive.open(instance)
        kept = False
        try:
            plan = self._plan(instance)
            if plan.encoder:
                # A codec may not hold this very image: then the plan is another.
                head = await reader.read(instance.dataset_offset, _HEAD)
                plan = self._plan(instance, image_in(head, instance.transfer_syntax_uid))
            if plan.action is Action.REFUSE:
                raise TranscodingError(plan.reason)
            if plan.action is Action.PASS_THROUGH:
                kept = True
                return StoredContent(instance, reader)
            return await self._convert(instance, reader, plan)
        finally:
            if not kept:
                await reader.close()

    def refuse(self, content: StoredContent | ConvertedContent) -> bool:
        """Note that the server does not take a transfer syntax; tell whether there is another."""
        self._refused.add(content.transfer_syntax_uid)
        plan = self._plan(content.instance)
        is_possible = plan.action is not Action.REFUSE
        logger.warning(
            "%s does not take %s: %s",
            self._server.url,
            content.transfer_syntax_uid,
            f"{plan.target} is tried" if is_possible else plan.reason,
        )
        return is_possible

    def _plan(self, instance: StoredInstance, image: FrameFormat | None = None) -> Plan:
        accepted = [e.uid for e in ALL_TRANSFER_SYNTAXES if e.uid not in self._refused]
        peer = Peer("", self._server.url, 0, transfer=self._server.transfer)
        return self._node.transcoder.plan(instance.transfer_syntax_uid, accepted, peer, image)

    async def _convert(
        self, instance: StoredInstance, reader: ObjectReader, plan: Plan
    ) -> ConvertedContent:
        identity, spool = instance.identity, Spool(_IN_MEMORY)
        uid = plan.sop_instance_uid(identity.sop_instance_uid)
        prefix = file_meta(
            identity.sop_class_uid,
            uid,
            plan.target,
            source_ae_title=self._node.settings.ae_title,
        )
        try:
            stored = reader.chunks(instance.dataset_offset)
            async with closing(self._node.transcoder.transcode(plan, stored)) as made:
                async for chunk in made:
                    await spool.add(bytes(chunk))
        except BaseException:
            spool.close()
            raise
        return ConvertedContent(instance, prefix, spool, uid, plan.target)
