"""Multipart/related bodies, split while they arrive (RFC 2046 §5.1, RFC 2387).

How it works: :class:`Splitter` is given chunks as they come and returns events. It holds back no
more of a part's content than could be the beginning of a delimiter, mostly nothing, so that a part
of any size needs no memory and its bytes are not copied, and looks for delimiters with
`bytes.find`, which is as fast as memory. A line that begins like a
delimiter but goes on otherwise belongs to the content: a boundary may be the beginning of another.

What is liberal: a preamble, an epilogue, white space behind a delimiter (RFC 2046 has it as
transport padding), lines that end in LF alone, parts without headers, headers that are folded.
What has a limit: preamble, the headers of a part, white space behind a delimiter, number of parts.
"""

from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping
from typing import Final, TypeAlias

from attrs import frozen

from pacs_core.api.streams import closing

MAX_BOUNDARY: Final = 200
"""Characters; RFC 2046 has 70."""

_SPACE: Final = b" \t"


class MalformedMultipart(ValueError):  # noqa: N818
    """A body is not what its Content-Type says; the message says what is wrong."""


@frozen
class SplitterLimits:
    """How much of a body is looked at before it must make sense.

    Attributes
    ----------
    preamble : int
        Bytes before the first delimiter.
    headers : int
        Bytes of all headers of a part.
    padding : int
        Bytes of white space behind a delimiter.
    parts : int
        Number of parts.
    """

    preamble: int = 64 * 1024
    headers: int = 16 * 1024
    padding: int = 1024
    parts: int = 100_000


@frozen
class PartBegin:
    """A part begins.

    Attributes
    ----------
    headers : mapping of str to str
        By name in lower case; of several with one name the first counts.
    """

    headers: Mapping[str, str]


@frozen
class PartData:
    """Bytes of the content of a part."""

    data: bytes


@frozen
class PartEnd:
    """A part is complete."""


Event: TypeAlias = PartBegin | PartData | PartEnd


class Splitter:
    """Splits a body into its parts.

    Parameters
    ----------
    boundary : str
        As the Content-Type has it, without quotation marks.
    limits : SplitterLimits, optional

    Raises
    ------
    MalformedMultipart
        The boundary is none.
    """

    def __init__(self, boundary: str, limits: SplitterLimits | None = None) -> None:
        if not 0 < len(boundary) <= MAX_BOUNDARY or not boundary.isascii():
            raise MalformedMultipart("the Content-Type has no boundary that could be one")
        if any(ord(each) < 0x20 for each in boundary):
            raise MalformedMultipart("the boundary has a control character")
        self._limits = limits or SplitterLimits()
        self._delimiter = b"\n--" + boundary.encode()
        # The first delimiter has nothing before it: a line end makes it like the others.
        self._held = b"\n"
        self._at = 0  # in what is held: from here on it has not been handed on
        self._lead = 1  # bytes from there on that are the line end of what was before
        self._state = self._preamble
        self._parts = 0
        self._skipped = 0
        self.is_complete = False
        """Whether the last delimiter has been there."""

    def feed(self, data: bytes) -> Iterator[Event]:
        """Iterate over what is in the next bytes of the body.

        Raises
        ------
        MalformedMultipart
            It is none, or exceeds a limit.
        """
        if self.is_complete:
            return  # the epilogue
        rest = self._held[self._at :]
        self._held, self._at = rest + data if rest else data, 0
        while (event := self._state()) is not None:
            yield from event

    def finish(self) -> None:
        """Take note of the end of the body.

        Raises
        ------
        MalformedMultipart
            It ends before it is complete.
        """
        if self.is_complete:
            return
        if self._state == self._preamble:
            raise MalformedMultipart("the body has no delimiter with the boundary")
        raise MalformedMultipart("the body ends before its last delimiter")

    def _preamble(self) -> tuple[Event, ...] | None:
        """Look for the first delimiter."""
        before, found = self._next_delimiter()
        self._skipped += len(before)
        if self._skipped > self._limits.preamble:
            raise MalformedMultipart("the body does not begin with a delimiter")
        return () if found else None

    def _content(self) -> tuple[Event, ...] | None:
        """Hand on content, up to the next delimiter."""
        before, found = self._next_delimiter()
        data = (PartData(before),) if before else ()
        if found:
            return (*data, PartEnd())
        return data or None

    def _next_delimiter(self) -> tuple[bytes, bool]:
        """Take what is before the next delimiter, and it, if it is there.

        What could be the beginning of one remains held.
        """
        held, searched = self._held, self._at
        while (found := held.find(self._delimiter, searched)) >= 0:
            rest = self._line_end(found + len(self._delimiter))
            if rest is None:
                return self._take(self._before(found)), False
            if rest:
                before = self._take(self._before(found))
                self._pass(found, rest)
                return before, True
            searched = found + 1
        # One that begins has its LF here, and perhaps a CR before it.
        begins = held.find(b"\n", max(len(held) - len(self._delimiter), self._at))
        return self._take(self._before(begins if begins >= 0 else len(held))), False

    def _before(self, found: int) -> int:
        """Return where content ends whose delimiter begins with the LF at a position."""
        return found - 1 if found > self._at and self._held[found - 1] == 0x0D else found

    def _take(self, end: int) -> bytes:
        """Take bytes up to a position; the line end of what was before is none of them."""
        if end <= self._at:
            return b""
        taken = self._held[self._at + self._lead : end]
        self._at, self._lead = end, 0
        return taken

    def _pass(self, found: int, rest: int) -> None:
        """Pass a delimiter."""
        if self._held.startswith(b"--", found + len(self._delimiter)):
            self._held, self._at = b"", 0
            self.is_complete, self._state = True, self._epilogue
            return
        self._parts += 1
        if self._parts > self._limits.parts:
            raise MalformedMultipart(f"the body has more than {self._limits.parts} parts")
        # The line end remains, so that a part without headers ends them like any other.
        self._at, self._state = rest, self._headers

    def _line_end(self, at: int) -> int | None:
        """Return where the line after a delimiter ends: at its LF, or behind its hyphens.

        0 if it is no delimiter, None if more is needed to tell.
        """
        held = self._held
        if held.startswith(b"--", at):
            return at + 2
        end = at
        while end < len(held) and held[end] in _SPACE:
            end += 1
        if end - at > self._limits.padding:
            return 0
        line_end = held[end : end + 2]
        if line_end.startswith(b"\n"):
            return end
        if line_end == b"\r\n":
            return end + 1
        return None if line_end in {b"", b"\r"} or (end == at and line_end == b"-") else 0

    def _headers(self) -> tuple[Event, ...] | None:
        """Read the headers of a part, when they are complete."""
        most = self._at + self._limits.headers
        ends = [
            (found, len(end))
            for end in (b"\n\r\n", b"\n\n")
            if (found := self._held.find(end, self._at, most + len(end))) >= 0
        ]
        if not ends:
            if len(self._held) > most:
                raise MalformedMultipart(
                    f"the headers of part {self._parts} are longer than {self._limits.headers}"
                )
            return None
        found, length = min(ends)
        headers = read_headers(self._held[self._at : found], self._parts)
        # The line end may be that of a delimiter at once, if there is no content.
        self._at, self._lead = found + length - 1, 1
        self._state = self._content
        return (PartBegin(headers),)

    def _epilogue(self) -> tuple[Event, ...] | None:
        return None


def read_headers(block: bytes, part: int = 1) -> dict[str, str]:
    """Read the headers of a part: lines of a name, a colon, and a value (RFC 2045 §3).

    Raises
    ------
    MalformedMultipart
        There is something else in it.
    """
    lines: list[str] = []
    for line in block.decode("utf-8", "replace").replace("\r\n", "\n").split("\n"):
        if line[:1] in {" ", "\t"} and lines:
            lines[-1] += f" {line.strip()}"
        elif line:
            lines.append(line)
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise MalformedMultipart(f"part {part} has a header without a name: {line[:60]!r}")
        headers.setdefault(name.strip().lower(), value.strip())
    return headers


class Part:
    """A part of a body that is being read.

    Attributes
    ----------
    headers : mapping of str to str
        By name in lower case.
    """

    def __init__(self, headers: Mapping[str, str], content: AsyncIterator[bytes]) -> None:
        self.headers = headers
        self._content = content

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over the content, once."""
        return self._content


async def split(body: AsyncIterable[bytes], splitter: Splitter) -> AsyncIterator[Part]:
    """Iterate over the parts of a body, while it arrives.

    What is not read of a part's content is passed over when the next part is asked for.

    Raises
    ------
    MalformedMultipart
        On iteration, of parts or of content.
    """

    async def read() -> AsyncIterator[Event]:
        async for chunk in body:
            for event in splitter.feed(chunk):
                yield event
        splitter.finish()

    async def content() -> AsyncIterator[bytes]:
        async for event in events:
            if not isinstance(event, PartData):
                return
            yield event.data

    async with closing(read()) as events:
        async for event in events:
            if isinstance(event, PartBegin):
                part = content()
                yield Part(event.headers, part)
                async for _ in part:
                    pass


def find_only_part(body: bytes, splitter: Splitter) -> tuple[Mapping[str, str], list[bytes]] | None:
    """Return headers and content of the one part that a body has.

    None if it has several, or is not what it should be.

    Parameters
    ----------
    body : bytes
        All of it.
    splitter : Splitter
        That has been given nothing yet.
    """
    try:
        events = list(splitter.feed(body))
    except MalformedMultipart:
        return None
    begin = events[0] if events else None
    if not (splitter.is_complete and isinstance(begin, PartBegin) and events[-1:] == [PartEnd()]):
        return None
    content = [event.data for event in events if isinstance(event, PartData)]
    return (begin.headers, content) if len(content) == len(events) - 2 else None
