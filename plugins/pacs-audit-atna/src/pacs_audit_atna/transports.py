"""Ways to a collector: a stream with or without TLS, datagrams, HTTP."""

import asyncio
import fcntl
import socket
import ssl
import struct
import termios
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from typing import ClassVar, Final

import anyio
from anyio import to_thread
from attrs import field, frozen

from pacs_audit_atna.config import AuditAtnaConfig
from pacs_audit_atna.syslog import frame
from pacs_core.api.tls import make_context
from pacs_core.contracts import ClientTls

# Theory of operation
#
# Syslog has no answer that says that a message has arrived. On a stream the next best thing is that
# the collector's machine has acknowledged all bytes, which the operating system knows (the queue of
# unsent bytes is empty); only then messages leave the spool. A collector that refuses our
# certificate says so only after the handshake (TLS 1.3), so the first messages on a connection are
# looked after for a moment. What was sent when a connection broke is sent again: a collector may
# get a message twice, and never misses one that we can know of.

_SETTLE: Final = 0.2
"""Seconds in which a collector may close a connection that it does not want."""

_POLL: Final = 0.005
_COUNT: Final = struct.Struct("i")
_FINAL_REFUSALS: Final = frozenset({400, 413, 415, 422})


@frozen
class Delivery:
    """What became of messages.

    Attributes
    ----------
    delivered : int
        How many, from the first, the collector has, or will not have.
    refused : dict of int to str
        Places of those of these that it refuses for good, and why.
    failure : str
        Why the others could not be sent; empty if there are none.
    """

    delivered: int
    refused: dict[int, str] = field(factory=dict)
    failure: str = ""


class Transport(ABC):
    """Takes messages to the collector."""

    batch: ClassVar[int] = 256
    """How many messages it is given at most."""

    @abstractmethod
    async def deliver(self, messages: Sequence[bytes]) -> Delivery:
        """Send messages, in order, and return once the collector has them, or cannot have them."""

    async def close(self) -> None:  # noqa: B027 there may be nothing
        """End the connection, if there is one."""


class StreamTransport(Transport):
    """Syslog over TCP, with TLS or without (RFC 5425; octet counting).

    Parameters
    ----------
    host, port : str and int
    context : SSLContext or None
    timeout : float
        Seconds to connect, and for the collector to take a batch.
    """

    def __init__(
        self, host: str, port: int, context: ssl.SSLContext | None, timeout: float
    ) -> None:
        self._host = host
        self._port = port
        self._context = context
        self._timeout = timeout
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def deliver(self, messages: Sequence[bytes]) -> Delivery:
        """See base."""
        try:
            async with asyncio.timeout(self._timeout):
                reader, writer, is_new = await self._connect()
                writer.write(b"".join(map(frame, messages)))
                await writer.drain()
                await _wait_until_acknowledged(writer)
                if is_new:
                    await _expect_silence(reader)
                if reader.at_eof():
                    raise ConnectionResetError("the collector has closed the connection")
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            await self.close()
            return Delivery(0, failure=_explain(error, self._timeout))
        return Delivery(len(messages))

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bool]:
        if self._streams is not None and not self._streams[0].at_eof():
            return (*self._streams, False)
        await self.close()
        name = self._host if self._context is not None else None
        self._streams = await asyncio.open_connection(
            self._host, self._port, ssl=self._context, server_hostname=name
        )
        return (*self._streams, True)

    async def close(self) -> None:
        """See base."""
        if self._streams is not None:
            writer, self._streams = self._streams[1], None
            writer.close()
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await writer.wait_closed()


async def _wait_until_acknowledged(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    while True:
        if (descriptor := connection.fileno()) < 0:  # closed while nobody was looking
            raise ConnectionResetError("the collector has closed the connection")
        unsent = fcntl.ioctl(descriptor, termios.TIOCOUTQ, _COUNT.pack(0))
        if not _COUNT.unpack(unsent)[0] and not writer.transport.get_write_buffer_size():
            return
        if writer.is_closing():
            raise ConnectionResetError("the collector has closed the connection")
        await asyncio.sleep(_POLL)


async def _expect_silence(reader: asyncio.StreamReader) -> None:
    """Raise if the collector ends the connection instead of listening."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_SETTLE):
            if not await reader.read(1):
                raise ConnectionResetError("the collector has closed the connection at once")


class DatagramTransport(Transport):
    """Syslog over UDP (RFC 5426): nobody says whether anything arrives.

    Parameters
    ----------
    host, port : str and int
    """

    batch = 32

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._socket: socket.socket | None = None

    async def deliver(self, messages: Sequence[bytes]) -> Delivery:
        """See base."""
        return await to_thread.run_sync(self._deliver, messages)

    def _deliver(self, messages: Sequence[bytes]) -> Delivery:
        try:
            connection = self._connect()
            for message in messages:
                connection.send(message)
            time.sleep(4 * _POLL)  # a machine without a collector says so, after the fact
            if code := connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(code, "nobody listens there")  # noqa: TRY301 as of the others
        except OSError as error:
            self._disconnect()
            return Delivery(0, failure=_explain(error, 0.0))
        return Delivery(len(messages))

    def _connect(self) -> socket.socket:
        if self._socket is None:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM)
            family, kind, protocol, _, address = found[0]
            self._socket = socket.socket(family, kind, protocol)
            self._socket.connect(address)
        return self._socket

    def _disconnect(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def close(self) -> None:
        """See base."""
        self._disconnect()


class HttpTransport(Transport):
    """FHIR resources, one request each (IHE ITI-20, ATX: FHIR Feed).

    Parameters
    ----------
    url : str
        Where resources of AuditEvent are made.
    context : SSLContext or None
        None for what the system trusts.
    token : str
        Bearer token; empty for none.
    timeout : float
        Seconds for each step of a request.
    """

    batch = 64

    def __init__(
        self, url: str, context: ssl.SSLContext | None, token: str, timeout: float
    ) -> None:
        import httpx  # takes long to import

        headers = {"Content-Type": "application/fhir+json", "Accept": "application/fhir+json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._url = url
        self._client = httpx.AsyncClient(
            verify=context or True, timeout=timeout, headers=headers, trust_env=False
        )
        self._errors = (httpx.HTTPError, httpx.InvalidURL)

    async def deliver(self, messages: Sequence[bytes]) -> Delivery:
        """See base."""
        refused: dict[int, str] = {}
        for number, message in enumerate(messages):
            try:
                response = await self._client.post(self._url, content=message)
            except self._errors as error:
                return Delivery(number, refused, f"{type(error).__name__}: {error}")
            if response.status_code in _FINAL_REFUSALS:
                refused[number] = f"{response.status_code}: {response.text[:500]}"
            elif not response.is_success:
                return Delivery(number, refused, f"the collector answers {response.status_code}")
        return Delivery(len(messages), refused)

    async def close(self) -> None:
        """See base."""
        with anyio.CancelScope(shield=True):
            await self._client.aclose()


def make_transport(config: AuditAtnaConfig) -> Transport:
    """Return the way to the configured collector.

    Raises
    ------
    TlsConfigError
        A certificate, key or CA cannot be used.
    LookupError
        The token cannot be read.
    """
    address = config.address
    host = address.hostname or ""
    if address.scheme == "udp":
        return DatagramTransport(host, config.port)
    secured = address.scheme in {"tls", "https"}
    context = make_context(config.tls or ClientTls()) if secured else None
    if not config.is_fhir:
        return StreamTransport(host, config.port, context, config.timeout)
    token = config.token.reveal() if config.token is not None else ""
    url = config.collector.rstrip("/")
    url = url if url.endswith("/AuditEvent") else f"{url}/AuditEvent"
    return HttpTransport(url, context, token, config.timeout)


def _explain(error: BaseException, timeout: float) -> str:
    if isinstance(error, TimeoutError) and not str(error):
        return f"nothing within {timeout:g} s"
    return f"{type(error).__name__}: {error}"
