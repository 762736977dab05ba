"""The reading of an association: when to read on, and how long the peer may take."""

import anyio

from pacs_core.association.channel import Channel
from pacs_core.association.hosts import TokenBucket
from pacs_core.association.invoker import Invoker
from pacs_core.association.performer import Performer
from pacs_core.dimse import MessageAssembler
from pacs_core.upper_layer import Role, State


class ReadControl:
    """Stops reading while others catch up, and sets the deadline of what is read.

    Not to read is the only way to slow a peer down: TCP's window fills, and its sends block. While
    nothing is read for this side's own reasons the peer has no deadline, since it cannot be heard.

    Parameters
    ----------
    channel : Channel
    assembler : MessageAssembler
    performer : Performer
    invoker : Invoker
    pace : TokenBucket, optional
        At which requests are read; shared by the associations of a host.
    """

    def __init__(
        self,
        channel: Channel,
        assembler: MessageAssembler,
        performer: Performer,
        invoker: Invoker,
        pace: TokenBucket | None,
    ) -> None:
        self._channel = channel
        self._assembler = assembler
        self._performer = performer
        self._invoker = invoker
        self._pace = pace

    async def hold_back(self, requests: int) -> None:
        """Wait as long as nothing should be read, after so many new requests."""
        deadlines = self._channel.deadlines
        incoming = self._performer.incoming
        if incoming is not None and not incoming.is_covered:
            deadlines.clear("read")
            await self._performer.await_budget(self._channel.timeouts.memory)
        if incoming is not None and incoming.is_full:
            deadlines.clear("read")
            await incoming.wait_for_room()
        if self._invoker.is_full:
            deadlines.clear("read")
            await self._invoker.wait_for_room()
        if self._pace is not None and requests:
            wait = self._pace.take(requests)
            if wait:
                deadlines.clear("read")
                await anyio.sleep(wait)
        while self._performer.is_overtaxed(
            # Never stop while the peer owes an answer: it could not give it, and what waits for
            # the answer may be what has to end before reading goes on.
            between_messages=self._assembler.is_idle and not len(self._invoker)
        ):
            deadlines.clear("read")
            await self._performer.wait_for_slot()

    def set_deadline(self) -> None:
        """Give the peer as long as the state of the association allows it, from now on."""
        timeouts, deadlines = self._channel.timeouts, self._channel.deadlines
        machine = self._channel.machine
        if machine.state is not State.Sta6:
            deadlines.set("read", timeouts.artim)
        elif not self._assembler.is_idle or len(self._invoker):
            deadlines.set("read", timeouts.dimse)
        elif machine.role is Role.ACCEPTOR and not len(self._performer):
            deadlines.set("read", timeouts.idle)
        else:
            # A requestor decides itself how long it stays idle, and a peer whose request is being
            # performed waits for this side.
            deadlines.clear("read")
