"""The upper layer machine on a byte stream."""

import asyncio
from contextlib import suppress

import anyio

from pacs_core.association.deadlines import Deadlines
from pacs_core.association.transport import Transport
from pacs_core.contracts import Timeouts, TlsError
from pacs_core.upper_layer import Event, Limits, Role, UpperLayer

_FEW = 256  # buffers that may gather: 64 short messages
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
        self._sending = asyncio.Lock()
        self._due = False

    @property
    def failure(self) -> TlsError | None:
        """Why the peer is not heard any more, if TLS failed."""
        return self._transport.failure

    async def receive(self) -> list[Event]:
        """Wait for bytes and return what they mean; sends what the protocol demands in answer."""
        if self._unread:
            events, self._unread = self._unread, []
            return events
        data = await self._transport.receive()
        if not data:
            return self.machine.receive_eof()
        events = self.machine.receive_data(data)
        if self.machine.buffers_waiting:
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
        untaken = False
        if self._transport.is_writable and not self._sending.locked():
            if output := self.machine.buffers_to_send():
                self._transport.write(output)
            # Nearly always the system takes all of it at once, and nothing is waited for.
            if self._transport.is_writable:
                return
            untaken = True
        # Taking the output and sending it is one step, so that no PDU overtakes another.
        async with self._sending:
            while (output := self.machine.buffers_to_send()) or untaken:
                untaken = False
                self.deadlines.set("write", self.timeouts.write)
                try:
                    await self._transport.send(output)
                finally:
                    self.deadlines.clear("write")

    def flush_soon(self) -> bool:
        """Send the output once this task waits for something: what comes before goes with it.

        Returns
        -------
        bool
            Whether it will be sent; not if there is much already, or the peer is behind: then
            :meth:`flush`.
        """
        if self.machine.buffers_waiting > _FEW or not self._transport.is_writable:
            return False
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._flush_now)
        return True

    def _flush_now(self) -> None:
        self._due = False
        # Whoever is sending sends this as well.
        if not self._sending.locked() and self._transport.is_writable:
            self._transport.write(self.machine.buffers_to_send())

    async def close_gracefully(self, *, close: bool = True) -> None:
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
