"""Whole messages out: one at a time, in as few writes as possible."""

import asyncio
from collections.abc import AsyncIterable, Iterable, Sequence
from typing import Final

import anyio
from attrs import evolve

from pacs_core.association.channel import Channel
from pacs_core.association.errors import AssociationAbortedError
from pacs_core.contracts import Response
from pacs_core.dimse import (
    Command,
    CommandField,
    Status,
    encode_message,
    encode_status,
    encode_store,
)
from pacs_core.upper_layer import PresentationDataValue, fragment

# Theory of operation
#
# A message is a command and perhaps a dataset, each in fragments, and fragments of two messages may
# not alternate (PS3.8 Annex E). So one lock is held from the first fragment to the last. It is held
# for as long as the dataset takes to be read: on one association messages go one after the other,
# and whoever wants more uses more associations.
#
# Once the first fragment is queued there is no way back but an abort. `is_broken` tells the engine
# so, also where the sending task was cancelled.
#
# A short message that another will follow at once (a pending response) is queued and flushed when
# the task next waits for something, so that many share a system call and a TCP segment.

Chunk = bytes | memoryview
_DONE: Final = Response(Status.SUCCESS)
_PLAIN: Final = (CommandField.C_STORE_RQ, CommandField.C_ECHO_RQ)
_SHORT = 16 * 1024
DatasetSource = Chunk | AsyncIterable[Chunk]


class MessageWriter:
    """Sends messages on one association; their fragments never interleave (PS3.8 Annex E).

    Attributes
    ----------
    is_broken : bool
        A message was cut short: the association can only be aborted.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._lock = asyncio.Lock()
        self.is_broken = False

    async def send(
        self,
        context_id: int,
        command: Command | bytes,
        dataset: DatasetSource | None = None,
        *,
        more_follows: bool = False,
    ) -> None:
        """Send a message, whole; waits while the peer does not read.

        If `more_follows`, a short message may wait for what this task sends before it waits for
        something.

        Raises
        ------
        AssociationAbortedError
            The transport connection is lost.
        LocalProtocolError
            Not in this state of the association, or nothing fits into the peer's PDUs.
        ValueError
            The command cannot be encoded; nothing was sent.
        """
        maximum = self._channel.machine.peer_maximum_length
        async with self._lock:
            whole = dataset if isinstance(dataset, bytes | memoryview) else None
            self._queue(encode_message(context_id, command, whole, maximum))
            # From here on, whoever gives up leaves the peer with a part of a message.
            try:
                if more_follows and len(whole or b"") < _SHORT and self._channel.flush_soon():
                    return
                if dataset is None or isinstance(dataset, bytes | memoryview):
                    await self._flush()
                else:
                    await self._send_stream(context_id, dataset, maximum)
            except BaseException:
                self.is_broken = True
                raise

    async def _send_stream(
        self, context_id: int, dataset: AsyncIterable[Chunk], maximum: int
    ) -> None:
        held: Chunk = b""
        async for chunk in dataset:
            # Every fragment has an even number of bytes (PS3.8 §E.1), whatever the chunks have.
            odd = len(held) % 2
            if len(held) > odd:
                self._queue_fragments(context_id, held[: len(held) - odd], maximum, is_last=False)
                await self._flush()
            held = bytes(held[-1:]) + bytes(chunk) if odd else chunk
        self._queue_fragments(context_id, held, maximum, is_last=True)
        await self._flush()

    def _queue_fragments(
        self, context_id: int, chunk: Chunk, maximum: int, *, is_last: bool
    ) -> None:
        pdvs = fragment(context_id, False, chunk, maximum, is_last=is_last)
        self._queue([pdv] for pdv in pdvs)

    def _queue(self, groups: Iterable[Sequence[PresentationDataValue]]) -> None:
        for pdvs in groups:
            self._channel.machine.send_data(pdvs)

    async def _flush(self) -> None:
        try:
            await self._channel.flush()
        except anyio.BrokenResourceError as error:
            raise AssociationAbortedError("the transport connection was lost") from error


def request_command(request: Command, message_id: int) -> Command | bytes:
    """Return the command set of a request under a message ID, encoded if that costs less."""
    if request.field is CommandField.C_STORE_RQ:
        return encode_store(request, message_id)
    return evolve(request, message_id=message_id)


def response_command(request: Command, response: Response, *, has_dataset: bool) -> Command | bytes:
    """Return the command set of a response (PS3.7 §9.3, §10.3), encoded if that costs less."""
    if request.field in _PLAIN and response == _DONE:
        return encode_status(request, Status.SUCCESS)
    return Command(
        field=request.response_field,
        message_id_being_responded_to=request.message_id,
        affected_sop_class_uid=request.sop_class_uid,
        affected_sop_instance_uid=response.affected_sop_instance_uid or request.sop_instance_uid,
        status=response.status,
        error_comment=response.comment or None,
        offending_element=response.offending_element,
        error_id=response.error_id,
        event_type_id=response.event_type_id,
        action_type_id=response.action_type_id,
        attribute_identifier_list=response.attribute_identifier_list,
        number_of_remaining_suboperations=response.remaining,
        number_of_completed_suboperations=response.completed,
        number_of_failed_suboperations=response.failed,
        number_of_warning_suboperations=response.warning,
        has_dataset=has_dataset,
    )
