"""Byte ranges of an answer (RFC 9110 §14): one range; several are answered with everything."""

import re
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from typing import Final

from attrs import frozen
from pacs_web.api.http import HttpError, StreamResponse
from starlette.requests import Request

from pacs_core.contracts import CHUNK_SIZE, ObjectReader

_RANGE: Final = re.compile(r"\s*bytes\s*=\s*(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))\s*")


class UnsatisfiableRangeError(ValueError):
    """A range that begins behind the end: 416."""


@frozen
class ByteRange:
    """Bytes of something, from `start` up to but not including `end`."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """How many they are."""
        return self.end - self.start


def read_range(header: str, length: int) -> ByteRange | None:
    """Return the range that a Range header asks for; None for everything.

    Parameters
    ----------
    header : str
        Empty if there is none. One that is malformed, of another unit, or asks for several
        ranges, is passed over, as RFC 9110 §14.2 has it.
    length : int
        Of what there is.

    Raises
    ------
    UnsatisfiableRangeError
        There is nothing in the range.
    """
    found = _RANGE.fullmatch(header)
    if found is None:
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        start, end = max(length - int(suffix), 0), length
    else:
        start, end = int(first), min(int(last) + 1, length) if last else length
        if last and int(last) < int(first):
            return None
    if start >= length or not end:
        raise UnsatisfiableRangeError(f"the range is behind the end, at {length} bytes")
    return ByteRange(start, end)


def requested_range(request: Request, length: int, tag: str) -> ByteRange | None:
    """Return the range that a request asks for; None for everything.

    Raises
    ------
    HttpError
        416: there is nothing in it.
    """
    condition = request.headers.get("if-range", "")
    # Strongly compared: what is only equivalent cannot be put together (RFC 9110 §13.1.5).
    if request.method == "HEAD" or (condition and condition != tag):
        return None
    try:
        return read_range(request.headers.get("range", ""), length)
    except UnsatisfiableRangeError as error:
        raise HttpError(416, str(error), {"Content-Range": f"bytes */{length}"}) from error


def answer_range(
    request: Request,
    length: int,
    headers: Mapping[str, str],
    content: Callable[[ByteRange | None], AsyncIterable[bytes | memoryview]],
) -> StreamResponse:
    """Return an answer with the range that a request asks for, or with everything.

    Parameters
    ----------
    request : Request
    length : int
        Of what there is.
    headers : mapping of str to str
        With ETag, if there is one.
    content : callable
        Returns the bytes of a range; of everything, without one.

    Raises
    ------
    HttpError
        416: there is nothing in the range.
    """
    own = {**headers, "Accept-Ranges": "bytes"}
    wanted = requested_range(request, length, headers.get("ETag", ""))
    if wanted is None:
        return StreamResponse(content(None), headers={**own, "Content-Length": str(length)})
    own["Content-Range"] = f"bytes {wanted.start}-{wanted.end - 1}/{length}"
    own["Content-Length"] = str(wanted.length)
    return StreamResponse(content(wanted), 206, headers=own)


async def read_part(reader: ObjectReader, wanted: ByteRange) -> AsyncIterator[bytes]:
    """Iterate over a range of an open object."""
    position = wanted.start
    while position < wanted.end:
        chunk = await reader.read(position, min(wanted.end - position, CHUNK_SIZE))
        if not chunk:
            return
        position += len(chunk)
        yield chunk
