"""A transport connection: bytes in as they come, bytes out as the peer takes them."""

import asyncio
import socket
from collections import deque
from collections.abc import Sequence
from typing import cast

from anyio import BrokenResourceError

from pacs_core.concurrency import Signal
from pacs_core.contracts import TlsError, TlsInfo

# Theory of operation
#
# asyncio calls back when bytes arrive, and the association wants to await them. Between the two is
# a queue of chunks, as they came and uncopied. When too much waits in it, reading is paused, TCP's
# window closes, and the peer has to wait: that is all the flow control there is, and all that is
# needed.
#
# asyncio's own buffer for writing is set to nothing. `send` therefore returns when the system has
# taken all of it, which has two uses: deadlines measure what the peer takes, and memory holds one
# PDU for each association, not what a slow peer has not read.
#
# Closing discards what was not taken. Whoever wants the peer to read the last words, such as a
# rejection, sends first, and closes then (`Channel.close_gracefully`).

_HIGH_WATER = 256 * 1024
"""Bytes that may wait to be taken before the connection stops reading."""

_COPIED = 64 * 1024
"""Bytes up to which buffers are joined: that is cheaper than to hand over each by itself."""


class Transport(asyncio.Protocol):
    """One TCP connection, for one task that receives and one that sends at a time.

    Attributes
    ----------
    remote_address : (str, int)
        Host and port of the peer.
    failure : TlsError or None
        Why no more comes, if TLS failed.
    """

    failure: TlsError | None = None

    def __init__(self) -> None:
        self.remote_address = ("", 0)
        self._chunks: deque[bytes] = deque()
        self._waiting = 0
        self._arrived = Signal()
        self._taken = Signal()
        self._ended = False
        self._lost = False
        self._reading = self._writing = True
        self._transport: asyncio.Transport

    # --- called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; every send waits until the system has taken all of it."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(0)
        address = transport.get_extra_info("peername")
        if isinstance(address, tuple):
            self.remote_address = address[0], address[1]
        raw = transport.get_extra_info("socket")
        if raw is not None and raw.family in (socket.AF_INET, socket.AF_INET6):
            # Without this each exchange may wait for a delayed acknowledgement: 40 ms.
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        """Queue what came."""
        self._chunks.append(data)
        self._waiting += len(data)
        if self._waiting >= _HIGH_WATER and self._reading:
            self._reading = False
            self._transport.pause_reading()
        self._arrived.set()

    def eof_received(self) -> bool:
        """Note that the peer sends nothing more; it may still want to hear something."""
        self._ended = True
        self._arrived.set()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake whoever waits for the peer."""
        self._ended = self._lost = True
        self._arrived.set()
        self._taken.set()

    def pause_writing(self) -> None:
        """Let :meth:`send` wait."""
        self._writing = False

    def resume_writing(self) -> None:
        """Let :meth:`send` go on."""
        self._writing = True
        self._taken.set()

    # --- called by the association

    async def handshake(self) -> TlsInfo | None:
        """Secure the connection, before anything else; returns None if that is not wanted.

        Raises
        ------
        TlsError
            It does not come about.
        """
        return None

    async def receive(self) -> bytes:
        """Wait for bytes; none at all means that no more will come."""
        while not self._chunks:
            if self._ended:
                return b""
            if not self._reading:
                self._reading = True
                self._transport.resume_reading()
            await self._arrived.wait()
        chunk = self._chunks.popleft()
        self._waiting -= len(chunk)
        return chunk

    @property
    def is_writable(self) -> bool:
        """Whether the system takes what is written."""
        return self._writing and not self._lost and not self._transport.is_closing()

    def write(self, buffers: Sequence[bytes | memoryview]) -> None:
        """Send buffers without waiting; to be used while the transport is writable."""
        if sum(map(len, buffers)) > _COPIED:
            self._transport.writelines(buffers)
        else:
            self._transport.write(b"".join(buffers))

    async def send(self, buffers: Sequence[bytes | memoryview]) -> None:
        """Send buffers; wait until the system has taken them.

        Raises
        ------
        anyio.BrokenResourceError
            The connection is lost.
        """
        if self._lost or self._transport.is_closing():
            raise BrokenResourceError
        self.write(buffers)
        while not self._writing and not self._lost:
            await self._taken.wait()
        if self._lost:
            raise BrokenResourceError

    def close(self) -> None:
        """Close at once; what the system has not taken is lost."""
        self._transport.abort()
