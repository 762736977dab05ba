"""The markers of JPEG and JPEG-LS codestreams (ISO/IEC 10918-1 Annex B, 14495-1 Annex C)."""

from collections.abc import Iterator
from typing import Final

from attrs import frozen

from pacs_codec_imagecodecs.header import PADDING, Header
from pacs_core.contracts import CodecError

BASELINE: Final = 0xC0
EXTENDED: Final = 0xC1
LOSSLESS: Final = 0xC3
JPEG_LS: Final = 0xF7
_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_FRAMES: Final = frozenset({*range(0xC0, 0xD0), JPEG_LS}) - {0xC4, 0xC8, 0xCC}
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
"""Markers without a segment."""


@frozen
class JpegFrame:
    """What the frame header (SOF) says.

    Attributes
    ----------
    process : int
        Which marker it was.
    header : Header
    sampling : tuple of int
        Horizontal and vertical sampling factors of each component, in one byte each.
    """

    process: int
    header: Header
    sampling: tuple[int, ...]


def read_jpeg(codestream: bytes, processes: frozenset[int]) -> JpegFrame:
    """Return the frame header of a codestream that begins and ends as it should.

    Parameters
    ----------
    codestream : bytes
    processes : frozenset of int
        Frame markers that are allowed.

    Raises
    ------
    CodecError
        It is cut off, has no frame header or several, or is of another process.
    """
    if codestream[:2] != bytes([0xFF, _SOI]):
        raise CodecError("no JPEG codestream: it does not begin with SOI")
    if codestream.rstrip(PADDING)[-2:] != bytes([0xFF, _EOI]):
        raise CodecError("the codestream does not end with EOI: it was cut off")
    frames = [
        _frame(marker, segment) for marker, segment in _segments(codestream) if marker in _FRAMES
    ]
    if len(frames) != 1:
        raise CodecError(f"{len(frames)} frame headers before the first scan, not one")
    if frames[0].process not in processes:
        raise CodecError(f"frame marker FF{frames[0].process:02X} is not of this transfer syntax")
    return frames[0]


def _segments(codestream: bytes) -> Iterator[tuple[int, bytes]]:
    """Iterate over the marker segments up to the first scan."""
    at = 2
    while True:
        at, marker = _marker(codestream, at)
        if marker in _ALONE:
            continue
        length = int.from_bytes(codestream[at : at + 2], "big")
        if length < 2 or at + length > len(codestream):
            raise CodecError(f"segment FF{marker:02X} at byte {at} exceeds the codestream")
        yield marker, codestream[at + 2 : at + length]
        if marker == _SOS:
            return
        at += length


def _marker(codestream: bytes, at: int) -> tuple[int, int]:
    """Return where a marker's segment begins, and the marker; it may be preceded by fill bytes."""
    start = at
    while codestream[at : at + 1] == b"\xff":
        at += 1
    if at == start or at >= len(codestream) or codestream[at] in (0, _EOI):
        raise CodecError(f"no marker at byte {start}, where one is due before the first scan")
    return at + 1, codestream[at]


def _frame(marker: int, segment: bytes) -> JpegFrame:
    if len(segment) < 6 or len(segment) != 6 + 3 * segment[5]:
        raise CodecError(f"a frame header of {len(segment)} bytes, which does not add up")
    rows, columns = (int.from_bytes(segment[at : at + 2], "big") for at in (1, 3))
    return JpegFrame(marker, Header(rows, columns, segment[5], segment[0]), tuple(segment[7::3]))
