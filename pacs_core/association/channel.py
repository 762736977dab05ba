"""The upper layer machine on a byte stream."""

from contextlib import suppress

import anyio

from pacs_core.association.deadlines import Deadlines
from pacs_core.association.transport import Transport
from pacs_core.concurrency import Lock
from pacs_core.contracts import Timeouts
from pacs_core.upper_layer import Event, Limits, Role, UpperLayer

_ABORT_GRACE = 1.0  # seconds for an A-ABORT to leave when the peer may not be reading


class Channel:
    """Feeds a machine from a transport, and sends what the machine has to say.

    Parameters
    ----------
    transport : Transport
        Open.
    role : Role
    limits : Limits
    timeouts : Timeouts
    """

    def __init__(
        self, transport: Transport, role: Role, limits: Limits, timeouts: Timeouts
    ) -> None:
        self.machine = UpperLayer(role, limits)
        self.timeouts = timeouts
        self.deadlines = Deadlines(min(timeouts.artim, timeouts.dimse, timeouts.write, 5.0))
        self._transport = transport
        self._unread: list[Event] = []
        self._sending = Lock()

    async def receive(self) -> list[Event]:
        """Wait for bytes and return what they mean; sends what the protocol demands in answer."""
        if self._unread:
            events, self._unread = self._unread, []
            return events
        data = await self._transport.receive()
        if not data:
            return self.machine.receive_eof()
        events = self.machine.receive_data(data)
        if self.machine.has_output:
            with suppress(anyio.BrokenResourceError):  # then the next call finds the end
                await self.flush()
        return events

    def unread(self, events: list[Event]) -> None:
        """Let the next :meth:`receive` return `events`, which were received, but not handled."""
        self._unread = events

    async def flush(self) -> None:
        """Send all output; waits while the peer does not read.

        Raises
        ------
        anyio.BrokenResourceError
            The transport is gone.
        """
        # Taking the output and sending it is one step, so that no PDU overtakes another.
        async with self._sending:
            output = self.machine.data_to_send()
            if output:
                self.deadlines.set("write", self.timeouts.write)
                try:
                    await self._transport.send(output)
                finally:
                    self.deadlines.clear("write")

    async def farewell(self, *, close: bool = True) -> None:
        """Send what is left, if the peer takes it soon, and close; never raises."""
        with anyio.move_on_after(_ABORT_GRACE, shield=True) as scope:
            try:
                await self.flush()
            except anyio.BrokenResourceError:
                scope.cancel()
        if close or scope.cancelled_caught:
            self.close()

    def close(self) -> None:
        """Close the transport at once."""
        self._transport.close()
