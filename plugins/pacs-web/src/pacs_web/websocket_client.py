"""Client of WebSockets, for tests of routes that open them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import anyio
from anyio.abc import SocketStream
from wsproto import ConnectionType, WSConnection, events

_PATIENCE: Final = 20.0
"""Seconds that it waits for a message."""


class WebSocketClient:
    """A client of a WebSocket.

    Attributes
    ----------
    status : int
        Of the handshake: 101, or why there is no WebSocket.
    has_ended : bool
    """

    def __init__(self, stream: SocketStream) -> None:
        self._stream = stream
        self._connection = WSConnection(ConnectionType.CLIENT)
        self._texts: list[str] = []
        self.status = 0
        self.has_ended = False

    async def connect(self, path: str, headers: Mapping[str, str]) -> None:
        """Shake hands."""
        extra = [(name.encode(), value.encode()) for name, value in headers.items()]
        request = events.Request(host="127.0.0.1", target=path, extra_headers=extra)
        await self._stream.send(self._connection.send(request))
        while not self.status:
            await self._receive()

    async def send(self, text: str) -> None:
        """Send a message."""
        await self._stream.send(self._connection.send(events.TextMessage(data=text)))

    async def receive(self) -> str:
        """Return the next message.

        Raises
        ------
        EOFError
            None is to come.
        TimeoutError
        """
        while not self._texts:
            if self.has_ended:
                raise EOFError
            await self._receive()
        return self._texts.pop(0)

    async def _receive(self) -> None:
        with anyio.fail_after(_PATIENCE):
            try:
                data: bytes | None = await self._stream.receive()
            except anyio.EndOfStream:
                data = None
        self.has_ended = data is None
        self._connection.receive_data(data)
        for event in self._connection.events():
            match event:
                case events.AcceptConnection():
                    self.status = 101
                case events.RejectConnection():
                    self.status = event.status_code
                case events.TextMessage():
                    self._texts.append(event.data)
                case events.Ping():
                    await self._stream.send(self._connection.send(event.response()))
                case events.CloseConnection():
                    self.has_ended = True


@asynccontextmanager
async def open_websocket(
    port: int, path: str, headers: Mapping[str, str] | None = None
) -> AsyncIterator[WebSocketClient]:
    """Ask a server on the loopback interface for a WebSocket, for an ``async with`` block."""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        client = WebSocketClient(stream)
        await client.connect(path, headers or {})
        yield client
