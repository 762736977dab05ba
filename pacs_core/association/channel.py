"""The upper layer machine on a byte stream."""

import socket
from contextlib import suppress

import anyio
from anyio.abc import ByteStream, SocketAttribute

from pacs_core.association.deadlines import Deadlines
from pacs_core.contracts import Timeouts
from pacs_core.upper_layer import Event, Limits, Role, UpperLayer

RECEIVE_SIZE = 256 * 1024
_ABORT_GRACE = 1.0  # seconds for an A-ABORT to leave when the peer may not be reading


class Channel:
    """Feeds a machine from a stream, and sends what the machine has to say.

    Parameters
    ----------
    stream : ByteStream
        Open, TCP or TLS.
    role : Role
    limits : Limits
    timeouts : Timeouts
    """

    def __init__(self, stream: ByteStream, role: Role, limits: Limits, timeouts: Timeouts) -> None:
        self.machine = UpperLayer(role, limits)
        self.timeouts = timeouts
        self.deadlines = Deadlines(min(timeouts.artim, timeouts.dimse, timeouts.write, 5.0))
        self._stream = stream
        self._unread: list[Event] = []
        self._sending = anyio.Lock(fast_acquire=True)
        _disable_nagle(stream)

    async def receive(self) -> list[Event]:
        """Wait for bytes and return what they mean; sends what the protocol demands in answer."""
        if self._unread:
            events, self._unread = self._unread, []
            return events
        try:
            data = await self._stream.receive(RECEIVE_SIZE)
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            return self.machine.receive_eof()
        events = self.machine.receive_data(data)
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
                    await self._stream.send(output)
                except (anyio.ClosedResourceError, OSError) as error:
                    raise anyio.BrokenResourceError from error
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
            await self.close()

    async def close(self) -> None:
        """Close the transport at once."""
        with anyio.CancelScope(shield=True):
            await anyio.aclose_forcefully(self._stream)


def _disable_nagle(stream: ByteStream) -> None:
    # Without this each exchange may wait for a delayed acknowledgement: 40 ms.
    raw = stream.extra(SocketAttribute.raw_socket, None)
    if raw is not None and raw.family in (socket.AF_INET, socket.AF_INET6):
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
