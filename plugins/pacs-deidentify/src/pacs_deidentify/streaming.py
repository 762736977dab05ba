"""Bytes that are overwritten as they pass, without changing how many there are."""

import re
from collections.abc import Generator
from typing import Final

from attrs import frozen

EVERYTHING: Final = 1 << 62
"""More bytes than there can be."""

_SHORT: Final = 16


@frozen
class Copy:
    """Hand on bytes as they are; they are returned if there are not more than 16."""

    count: int


@frozen
class Zero:
    """Overwrite bytes."""

    count: int


@frozen
class ZeroUntil:
    """Overwrite bytes up to where a pattern of one or two bytes begins, or the fragment ends."""

    pattern: re.Pattern[bytes]


@frozen
class CopyUntil:
    """Hand on bytes up to a pattern of two bytes, and the first of these."""

    pattern: re.Pattern[bytes]


@frozen
class Peek:
    """Return bytes that come, fewer at the end of the fragment; they still come."""

    count: int


@frozen
class Replace:
    """Put other bytes in the place of as many that a peek has returned."""

    data: bytes


Operation = Copy | Zero | ZeroUntil | CopyUntil | Peek | Replace
Parser = Generator[Operation, bytes, None]


class StreamEditor:
    """Does what a parser asks for with the bytes of fragments.

    Parameters
    ----------
    parser : generator
        Yields operations, each of which is sent what it returns. Bytes after its end are copied.
    """

    def __init__(self, parser: Parser) -> None:
        self._parser = parser
        self._waiting = bytearray()
        self._made = bytearray()
        self._ends = False
        self._last = b""
        self._copied = b""
        self._left = 0
        self._operation: Operation | None = None
        self._begin(next(parser, None))

    def feed(self, data: bytes, *, ends: bool) -> bytes:
        """Take bytes, and return those that are ready: all of them when the fragment ends."""
        self._waiting += data
        self._ends = ends
        while self._waiting and self._step():
            pass
        if ends and isinstance(self._operation, ZeroUntil):
            self._advance(b"")
        made, self._made = bytes(self._made), bytearray()
        self._last = made[-1:] or self._last
        return made

    def _step(self) -> bool:
        """Do an operation, or part of it; tell whether there may be more to do."""
        match self._operation:
            case None:
                self._pass(len(self._waiting))
            case Copy(count=count):
                passed = self._pass(self._left)
                self._left -= len(passed)
                self._copied += passed if count <= _SHORT else b""
                if not self._left:
                    self._advance(self._copied)
            case Zero():
                count = min(self._left, len(self._waiting))
                self._zero(count)
                self._left -= count
                if not self._left:
                    self._advance(b"")
            case ZeroUntil(pattern=pattern):
                found = pattern.search(self._waiting)
                # The last byte may be the first of a pattern.
                self._zero(found.start() if found else len(self._waiting) - (not self._ends))
                if not found:
                    return False
                self._advance(b"")
            case CopyUntil(pattern=pattern):
                return self._copy_until(pattern)
            case Peek(count=count):
                if len(self._waiting) < count and not self._ends:
                    return False
                self._advance(bytes(self._waiting[:count]))
            case Replace(data=data):
                self._made += data
                del self._waiting[: len(data)]
                self._advance(b"")
        return True

    def _copy_until(self, pattern: re.Pattern[bytes]) -> bool:
        # What came before may have ended with the first byte of the pattern.
        before = self._made[-1:] or self._last
        found = pattern.search(before + self._waiting)
        self._pass(found.start() + 1 - len(before) if found else len(self._waiting))
        if found:
            self._advance(b"")
        return found is not None

    def _pass(self, count: int) -> bytes:
        passed = bytes(self._waiting[:count])
        self._made += passed
        del self._waiting[:count]
        return passed

    def _zero(self, count: int) -> None:
        self._made += bytes(count)
        del self._waiting[:count]

    def _advance(self, value: bytes) -> None:
        try:
            self._begin(self._parser.send(value))
        except StopIteration:
            self._operation = None

    def _begin(self, operation: Operation | None) -> None:
        while isinstance(operation, Copy | Zero) and operation.count <= 0:
            operation = next(self._parser, None)
        self._operation, self._copied = operation, b""
        self._left = operation.count if isinstance(operation, Copy | Zero) else 0
