"""Connections to systems that take messages: each message is sent, and its answer awaited."""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream
from attrs import define, field

from pacs_core.api.tls import explain
from pacs_core.contracts import ClientTls, TlsConfigError
from pacs_hl7.config import Hl7Peer
from pacs_hl7.framing import Deframer, FramingError, frame
from pacs_hl7.messages import Message, MessageError, read_message

_PIECE = 64 << 10
_LONGEST_ANSWER = 1 << 20

ACCEPTING = frozenset({"AA", "CA"})
"""Acknowledgment codes (HL7 table 0008) of those who take a message."""
ContextOf = Callable[[ClientTls], ssl.SSLContext]


class SendingError(Exception):
    """A message could not be sent, or was not answered; says why."""


@define(eq=False)
class Connection:
    """A connection to a system."""

    _stream: ByteStream
    _timeout: float
    _deframer: Deframer = field(factory=lambda: Deframer(_LONGEST_ANSWER), init=False)

    async def send(self, message: bytes) -> Message:
        """Send a message, and return the acknowledgment.

        Raises
        ------
        SendingError
        """
        try:
            with anyio.fail_after(self._timeout):
                await self._stream.send(frame(message))
                while True:
                    for answer in self._deframer.feed(await self._stream.receive(_PIECE)):
                        return read_message(answer)
        except TimeoutError as error:
            raise SendingError(f"there was no answer in {self._timeout:g} s") from error
        except (anyio.EndOfStream, anyio.BrokenResourceError) as error:
            raise SendingError("it closed the connection without an answer") from error
        except ssl.SSLError as error:
            raise SendingError(f"TLS: {explain(error)}") from error
        except (FramingError, MessageError) as error:
            raise SendingError(f"its answer cannot be read: {error}") from error


@asynccontextmanager
async def connect(peer: Hl7Peer, context_of: ContextOf) -> AsyncIterator[Connection]:
    """Connect to a system for an ``async with`` block.

    Parameters
    ----------
    peer : Hl7Peer
    context_of : callable
        Returns the context if the connection is secured: :meth:`TlsContexts.client_context`.

    Raises
    ------
    SendingError
    """
    where = f"{peer.host}:{peer.port}"
    try:
        with anyio.fail_after(peer.timeout):
            plain = await anyio.connect_tcp(peer.host, peer.port)
            stream = await _secure(plain, peer, context_of)
    except TimeoutError as error:
        raise SendingError(f"{where} does not answer") from error
    except TlsConfigError as error:
        raise SendingError(f"TLS: {error}") from error
    except ssl.SSLError as error:
        raise SendingError(f"{where}: TLS: {explain(error)}") from error
    except (OSError, anyio.EndOfStream, anyio.BrokenResourceError) as error:
        raise SendingError(f"{where}: {error or 'it closed the connection'}") from error
    try:
        yield Connection(stream, peer.timeout)
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.aclose_forcefully(stream)


async def _secure(plain: ByteStream, peer: Hl7Peer, context_of: ContextOf) -> ByteStream:
    if peer.tls is None:
        return plain
    try:
        context = context_of(peer.tls)
        return await TLSStream.wrap(
            plain, hostname=peer.host, ssl_context=context, standard_compatible=False
        )
    except BaseException:
        with anyio.CancelScope(shield=True):
            await anyio.aclose_forcefully(plain)
        raise
