"""Multipart/related bodies, written while they are sent (RFC 2046 §5.1, RFC 2387)."""

import secrets
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Final

from attrs import field, frozen

from pacs_core.api.streams import closing

__all__ = ["OutgoingPart", "multipart_length", "new_boundary", "write_multipart", "write_single"]

_LINE_END: Final = b"\r\n"
_SHORT: Final = 64 * 1024
"""Bytes whose copy costs less than to be sent by themselves."""


@frozen
class OutgoingPart:
    """A part to write.

    Attributes
    ----------
    content_type : str
    content : bytes or async iterable of bytes-like
    location : str
        Content-Location; empty for none.
    length : int or None
        Of the content, if it is known.
    content_id : str
        Content-ID, without brackets, by which another part refers to this one (RFC 2392); empty for
        none.
    head : bytes
        The headers, with the empty line that ends them.
    """

    content_type: str
    content: bytes | AsyncIterable[bytes | memoryview]
    location: str = ""
    length: int | None = field(default=None)
    content_id: str = ""
    head: bytes = field(init=False)

    @head.default
    def _(self) -> bytes:
        length = len(self.content) if isinstance(self.content, bytes) else self.length
        lines = [f"Content-Type: {self.content_type}"]
        if self.location:
            lines.append(f"Content-Location: {self.location}")
        if self.content_id:
            # MTOM wants to be told that nothing is encoded (XOP §4.1).
            lines += [f"Content-ID: <{self.content_id}>", "Content-Transfer-Encoding: binary"]
        if length is not None:
            lines.append(f"Content-Length: {length}")
        return "\r\n".join((*lines, "", "")).encode()


def new_boundary() -> str:
    """Return a boundary that occurs in no content, as far as chance goes: 128 bits of it."""
    return secrets.token_hex(16)


def write_single(part: OutgoingPart, boundary: str) -> bytes:
    """Return a multipart body of one part, whose content is there."""
    assert isinstance(part.content, bytes)  # noqa: S101 - for the type checker
    return b"".join((_first(part, boundary), part.content, _LINE_END, _last(boundary)))


def _first(part: OutgoingPart, boundary: str) -> bytes:
    return b"".join((f"--{boundary}\r\n".encode(), part.head))


def _last(boundary: str) -> bytes:
    return f"--{boundary}--\r\n".encode()


def multipart_length(parts: Iterable[OutgoingPart], boundary: str) -> int | None:
    """Return how many bytes a multipart body has; None if a part does not say that of its own."""
    total = len(_last(boundary))
    for part in parts:
        length = len(part.content) if isinstance(part.content, bytes) else part.length
        if length is None:
            return None
        total += len(_first(part, boundary)) + length + len(_LINE_END)
    return total


async def write_multipart(
    parts: AsyncIterable[OutgoingPart], boundary: str
) -> AsyncIterator[bytes | memoryview]:
    """Iterate over a multipart body; what the parts raise ends it without a last delimiter."""
    line_end = b""
    async for part in parts:
        head = line_end + _first(part, boundary)
        line_end = _LINE_END
        if isinstance(part.content, bytes):
            yield head + part.content
            continue
        async with closing(part.content) as chunks:
            # Before the head: what cannot be opened fails before anything is sent, with a status.
            first = await anext(chunks, b"")
            if len(first) <= _SHORT:
                yield head + first
            else:
                yield head
                yield first
            async for chunk in chunks:
                yield chunk
    yield line_end + _last(boundary)
