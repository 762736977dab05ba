"""The deflated transfer syntax: a raw deflate stream, inflated piece by piece (PS3.5 A.5)."""

import sys
import zlib
from collections.abc import Iterator

from pacs_core.dataset.errors import MalformedDataset

# Theory of operation
#
# One byte of a deflate stream may stand for a thousand. So output is made in pieces of at most 64
# KiB, each handed on before the next is made, and the ratio is watched: beyond what a real image of
# zeros has, the stream is refused. A total below `FREE_LENGTH` is always allowed, because masks are
# real and compress as well as any attack.
#
# Input is given to zlib in small portions. What it has not consumed (`unconsumed_tail`) is a copy,
# and with a large input each piece of output would copy all the rest.

_INPUT = 4096
_OUTPUT = 65536

MAX_RATIO = 250
"""How many times its size a deflated dataset may inflate to, beyond `FREE_LENGTH`."""

FREE_LENGTH = 256 << 20
"""Bytes that may come of a dataset however small: masks of mostly zeros are real, and legal."""


class Inflater:
    """Inflates as data arrives, never holding more than one piece of 64 KiB.

    Parameters
    ----------
    max_length : int, optional
        Bytes of output after which the stream is refused; by default the caller watches that.
    """

    def __init__(self, max_length: int = sys.maxsize) -> None:
        self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
        self._max_length = max_length
        self._length = 0
        self._taken = 0

    @property
    def ended(self) -> bool:
        """Whether the final block has been seen."""
        return self._stream.eof

    def pieces(self, data: bytes | memoryview) -> Iterator[bytes]:
        """Inflate what has arrived; bytes after the final block are padding.

        Raises
        ------
        MalformedDataset
            If this is no deflate stream, or it inflates to more than allowed.
        """
        # Small inputs, because what zlib has not consumed is copied at each call.
        for start in range(0, len(data), _INPUT):
            source: bytes | memoryview = data[start : start + _INPUT]
            self._taken += len(source)
            while not self._stream.eof and (piece := self._inflate(source)):
                yield piece
                source = self._stream.unconsumed_tail

    def _inflate(self, source: bytes | memoryview) -> bytes:
        try:
            piece = self._stream.decompress(source, _OUTPUT)
        except zlib.error as error:
            reason = str(error).removeprefix("Error -3 while decompressing data: ")
            raise MalformedDataset(f"no deflate stream: {reason}", self._length) from error
        self._length += len(piece)
        if self._length > self._max_length:
            what = f"the deflated dataset inflates to more than {self._max_length} bytes"
            raise MalformedDataset(what, self._length)
        if self._length > FREE_LENGTH and self._length > MAX_RATIO * self._taken:
            what = f"it inflates to over {MAX_RATIO} times its size"
            raise MalformedDataset(what, self._length)
        return piece


def inflate(data: bytes | memoryview, max_length: int) -> bytes:
    """Inflate a whole dataset.

    Raises
    ------
    MalformedDataset
        If it is truncated, no deflate stream, or longer than `max_length` bytes.
    """
    inflater = Inflater(max_length)
    whole = b"".join(inflater.pieces(data))
    if not inflater.ended:
        raise MalformedDataset("the deflate stream is truncated", len(whole))
    return whole


class Deflater:
    """Deflates a dataset piece by piece."""

    def __init__(self) -> None:
        self._stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        self._length = 0

    def feed(self, data: bytes | memoryview) -> bytes:
        """Return what the next bytes of the dataset add to the stream, often nothing yet."""
        return self._count(self._stream.compress(data))

    def finish(self) -> bytes:
        """Return the end of the stream, padded to even length (PS3.5 A.5)."""
        rest = self._count(self._stream.flush())
        return rest + b"\0" if self._length & 1 else rest

    def _count(self, piece: bytes) -> bytes:
        self._length += len(piece)
        return piece


def deflate(data: bytes) -> bytes:
    """Deflate a whole dataset, padded to even length (PS3.5 A.5)."""
    deflater = Deflater()
    return deflater.feed(data) + deflater.finish()
