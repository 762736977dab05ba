"""A transport that sends together what belongs together.

A response is written in pieces: its head, the beginning of its body, the head of each part, and
the end. Sent one by one, each is a system call, a packet, and a client that is woken for a few
bytes. Small pieces therefore wait for what follows in the same turn of the event loop; a large one
goes out at once, and takes along what waits.
"""

import asyncio
from typing import Any, Final

_LARGE: Final = 16 * 1024
"""Bytes that wait for nothing."""


class CorkedTransport:
    """A transport whose small pieces wait for the next, but no longer than others have their turn.

    What it does not have itself is that of the transport.

    Parameters
    ----------
    transport : asyncio.Transport
    loop : asyncio.AbstractEventLoop
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._waiting: list[bytes | memoryview] = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes | memoryview) -> None:
        """Send a piece, now or soon."""
        if not data:
            return
        if not self._waiting:
            self._loop.call_soon(self.flush)
        self._waiting.append(data)
        self._size += len(data)
        if self._size > _LARGE:
            self.flush()

    def flush(self) -> None:
        """Send what waits."""
        if self._waiting:
            waiting, self._waiting, self._size = self._waiting, [], 0
            self._transport.writelines(waiting)

    def close(self) -> None:
        """Close the transport once the client has taken all of it."""
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        """Close the transport at once."""
        self._waiting.clear()
        self._transport.abort()
