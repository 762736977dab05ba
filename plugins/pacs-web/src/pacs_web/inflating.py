"""Inflating what clients send, piece by piece, and not for ever.

A kilobyte of gzip can stand for a megabyte of zeros. Pieces are bounded, so memory is; how much
comes out in all is bounded by what a body may have, and by its ratio to what came in once it is
large, because the body of STOW-RS may have any size.
"""

import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE: Final = 64 * 1024
"""Bytes that a piece has at most."""

_UNSUSPICIOUS: Final = 16 << 20  # bytes that may come out of whatever came in
_MOST_OUT_OF_ONE: Final = 200  # images that are mostly black have a ratio of 50

ENCODINGS: Final[dict[str, Callable[[], Any]]] = {
    "gzip": lambda: zlib.decompressobj(wbits=31),
    "x-gzip": lambda: zlib.decompressobj(wbits=31),
    "deflate": lambda: zlib.decompressobj(wbits=15),
    "zstd": zstd.ZstdDecompressor,
}
"""Content codings (RFC 9110 §8.4.1, RFC 8878), and what decodes them."""


class InflateError(Exception):
    """It cannot be inflated, or :attr:`is_bomb`: it expands without end."""

    def __init__(self, message: str, *, is_bomb: bool = False) -> None:
        super().__init__(message)
        self.is_bomb = is_bomb


class BodyInflater:
    """Inflates one body.

    Parameters
    ----------
    encoding : str
        One of :data:`ENCODINGS`.
    """

    def __init__(self, encoding: str) -> None:
        self._encoding, self._create = encoding, ENCODINGS[encoding]
        self._member = self._create()
        self._fed = self._given = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Iterate over pieces of what some more bytes stand for.

        Raises
        ------
        InflateError
        """
        self._fed += len(data)
        while data or not self._member.eof:
            if self._member.eof:  # gzip and zstd may be concatenated (RFC 1952 §2.2)
                self._member = self._create()
            piece = self._decompress(data)
            # A decoder of zstd keeps what it has not taken; one of zlib gives it back.
            rest = "unused_data" if self._member.eof else "unconsumed_tail"
            data = getattr(self._member, rest, b"")
            if piece:
                yield piece
            if not data and len(piece) < PIECE:
                return

    def _decompress(self, data: bytes) -> bytes:
        try:
            piece: bytes = self._member.decompress(data, PIECE)
        except (zlib.error, zstd.ZstdError) as error:
            raise InflateError(f"the body is no {self._encoding}: {error}") from error
        self._given += len(piece)
        if self._given > max(_UNSUSPICIOUS, _MOST_OUT_OF_ONE * self._fed):
            message = f"the body expands to more than {_MOST_OUT_OF_ONE} times its size"
            raise InflateError(message, is_bomb=True)
        return piece

    def finish(self) -> None:
        """Check that the end has come.

        Raises
        ------
        InflateError
        """
        if self._fed and not self._member.eof:
            raise InflateError(f"the body ends in the middle of its {self._encoding} stream")
