"""Messages of the control channel: lines of JSON, bounded and strictly structured."""

import asyncio
import json
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from attrs import frozen, has
from cattrs import BaseValidationError, transform_error
from cattrs.preconf.json import make_converter

from pacs_core.contracts import ControlError, ControlOperation

T = TypeVar("T")

PROTOCOL: Final = 1
MAX_REQUEST: Final = 256 << 10
"""Bytes of a request."""
MAX_RESPONSE: Final = 16 << 20
"""Bytes of one response."""

_converter: Final = make_converter(forbid_extra_keys=True)
_converter.register_unstructure_hook(Path, str)
_converter.register_structure_hook(Path, lambda text, _: Path(text))


def encode_line(message: object) -> bytes:
    """Return a message as it is sent."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def unstructure(value: object, schema: type[Any]) -> Any:
    """Return a value as JSON has it.

    Raises
    ------
    TypeError
        It is no instance of its class.
    """
    if not isinstance(value, schema):
        raise TypeError(f"{value!r:.100} is no {schema.__qualname__}")
    return _converter.unstructure(value)


def structure(raw: object, schema: type[T]) -> T:
    """Return what JSON has as an instance of a class.

    Raises
    ------
    ControlError
        It is none; status 400.
    """
    try:
        return _converter.structure(raw, schema)
    except BaseValidationError as error:
        problems = transform_error(error, path="request")
        raise ControlError("; ".join(problems), 400) from error
    except Exception as error:
        raise ControlError(f"{schema.__qualname__}: {error}", 400) from error


def check_operation(operation: ControlOperation[Any, Any]) -> None:
    """Make sure that an operation can be carried over the channel.

    Raises
    ------
    TypeError, ValueError
        It cannot; the message says why.
    """
    for schema in (operation.request, operation.response):
        if not isinstance(schema, type) or not has(schema):
            raise TypeError(f"{operation.name}: {schema!r:.100} is no class of attrs")
        try:
            _converter.get_structure_hook(schema)
        except Exception as error:
            raise TypeError(f"{operation.name}: {schema.__qualname__}: {error}") from error
    if operation.workers not in {"one", "all"}:
        raise ValueError(f'{operation.name}: workers must be "one" or "all"')


@frozen
class Lines:
    """The messages of one connection, in both directions.

    These are asyncio's streams: those of anyio complain in the event loop when they are cancelled
    in the moment in which something arrives, as happens here whenever an operation ends.

    Attributes
    ----------
    reader : StreamReader
        Its limit is that of messages.
    writer : StreamWriter
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def over(cls, connection: socket.socket, limit: int) -> "Lines":
        """Return the messages over a socket, of at most `limit` bytes each."""
        return cls(*await asyncio.open_unix_connection(sock=connection, limit=limit))

    async def __aenter__(self) -> "Lines":
        """Begin."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connection; what was not taken yet is lost."""
        self.writer.transport.abort()
        with suppress(OSError):
            await self.writer.wait_closed()

    async def send(self, message: object) -> None:
        """Send a message; return when the other side has taken most of it.

        Raises
        ------
        OSError
            The other side has closed.
        """
        self.writer.write(encode_line(message))
        await self.writer.drain()

    async def finish(self) -> None:
        """Wait until all that was sent is taken, as far as the other side is there."""
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()

    async def receive(self) -> dict[str, Any] | None:
        """Return the next message; None if the other side has closed.

        Raises
        ------
        ControlError
            It is too long, or no JSON object.
        """
        try:
            line = await self.reader.readuntil(b"\n")
        except (asyncio.IncompleteReadError, OSError):
            return None
        except asyncio.LimitOverrunError:
            raise ControlError("a message is too long", 413) from None
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            raise ControlError("a message is no JSON", 400) from None
        if not isinstance(message, dict):
            raise ControlError("a message is no JSON object", 400)
        return message

    async def wait_closed(self) -> None:
        """Return once the other side has closed, or says something out of turn."""
        with suppress(OSError):
            await self.reader.read(1)
