"""The header of JPEG XL codestreams (ISO/IEC 18181-1) and their container (18181-2)."""

from collections.abc import Iterator
from typing import Final

from attrs import frozen

from pacs_core.api.images import CodestreamImage
from pacs_core.contracts import CodecError

_CODESTREAM: Final = b"\xff\x0a"
_CONTAINER: Final = b"\0\0\0\x0cJXL \r\n\x87\n"
_GREY: Final = 1
_HEADER_BYTES: Final = 64
"""More than the part of the header that is read here can take."""
_SIDES: Final = ((9, 1), (13, 1), (18, 1), (30, 1))
_BITS: Final = ((0, 8), (0, 10), (0, 12), (6, 1))
_CHANNELS: Final = ((0, 0), (0, 1), (4, 2), (12, 1))
_ENUM: Final = ((0, 0), (0, 1), (4, 2), (6, 18))
_RATIOS: Final = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
"""Columns to rows, by the number that stands for it, from 1."""


@frozen
class JxlHeader:
    """What a codestream says of itself.

    Attributes
    ----------
    image : CodestreamImage
    is_xyb : bool
        Colours are those of XYB; they are decoded as RGB.
    holds_jpeg : bool
        There is what it takes to restore a JPEG, bit by bit.
    """

    image: CodestreamImage
    is_xyb: bool
    holds_jpeg: bool


class _Bits:
    """Reads numbers from a stream of bits, the lowest of each byte first."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "little"), 8 * len(data)

    def take(self, count: int) -> int:
        if count > self._left:
            raise CodecError("the JPEG XL header is cut off")
        number = self._value & ((1 << count) - 1)
        self._value, self._left = self._value >> count, self._left - count
        return number

    def choose(self, choices: tuple[tuple[int, int], ...]) -> int:
        """Return a number whose width and offset two bits choose."""
        width, offset = choices[self.take(2)]
        return self.take(width) + offset


def read_jxl(data: bytes) -> JxlHeader:
    """Return the header of a codestream, bare or in its container.

    Raises
    ------
    CodecError
        It is none, or of an image that DICOM does not know: animated, turned, with extra
        channels, or of floating point numbers.
    """
    boxes = list(_boxes(data)) if data.startswith(_CONTAINER) else [(b"jxlc", data)]
    codestream = b"".join(
        body[4 * (kind == b"jxlp") :][:_HEADER_BYTES]
        for kind, body in boxes
        if kind in (b"jxlc", b"jxlp")
    )
    if not codestream.startswith(_CODESTREAM):
        raise CodecError("no JPEG XL codestream: it does not begin with FF0A")
    bits = _Bits(codestream[2:_HEADER_BYTES])
    rows, columns = _size(bits)
    precision, is_xyb, components = (8, True, 3) if bits.take(1) else _metadata(bits)
    holds_jpeg = any(kind == b"jbrd" for kind, _ in boxes)
    return JxlHeader(CodestreamImage(rows, columns, components, precision), is_xyb, holds_jpeg)


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_CONTAINER)
    while at < len(data):
        length, start = int.from_bytes(data[at : at + 4], "big"), at + 8
        if length == 1:
            length, start = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        end = at + length if length else len(data)
        if start > end or end > len(data):
            if not any(data[at:]):
                return  # padding to even length
            raise CodecError(f"a box at byte {at} exceeds the codestream")
        yield data[at + 4 : at + 8], data[start:end]
        at = end


def _size(bits: _Bits) -> tuple[int, int]:
    is_small = bits.take(1)
    rows = _side(bits, is_small)
    ratio = bits.take(3)
    if not ratio:
        return rows, _side(bits, is_small)
    numerator, denominator = _RATIOS[ratio - 1]
    return rows, rows * numerator // denominator


def _side(bits: _Bits, is_small: int) -> int:
    return 8 * (bits.take(5) + 1) if is_small else bits.choose(_SIDES)


def _metadata(bits: _Bits) -> tuple[int, bool, int]:
    """Return precision, whether colours are XYB, and how many components there are."""
    if bits.take(1) and bits.take(6):  # orientation, intrinsic size, preview, animation
        raise CodecError("the JPEG XL image is turned, animated, or has a preview")
    if bits.take(1):
        raise CodecError("the JPEG XL image holds floating point numbers")
    precision = bits.choose(_BITS)
    bits.take(1)
    if bits.choose(_CHANNELS):
        raise CodecError("the JPEG XL image has extra channels")
    is_xyb = bool(bits.take(1))
    if bits.take(1):  # the default colour encoding, sRGB
        return precision, is_xyb, 3
    bits.take(1)
    return precision, is_xyb, 1 if bits.choose(_ENUM) == _GREY else 3
