"""The header of a JPEG or JPEG-LS codestream (ISO/IEC 10918-1 Annex B, 14495-1 Annex C)."""

from collections.abc import Iterator
from typing import Final

from attrs import frozen

from pacs_codec_basic.checks import Header
from pacs_core.contracts import CodecError

JPEG_LS: Final = 0xF7
"""SOF55: JPEG-LS."""
LOSSLESS: Final = 0xC3
"""SOF3: lossless, Huffman coding."""
LOSSY: Final = frozenset({0xC0, 0xC1, 0xC2})
"""SOF0, SOF1, SOF2: of the DCT, with Huffman coding."""
END: Final = b"\xff\xd9"
"""EOI."""

_SOI, _EOI, _SOS, _TEM, _APP0, _APP14 = 0xD8, 0xD9, 0xDA, 0x01, 0xE0, 0xEE
_RESTARTS: Final = range(0xD0, 0xD8)
_NO_FRAME: Final = frozenset({0xC4, 0xC8, 0xCC})
"""DHT, JPG and DAC are among the numbers of frame headers."""
_FRAMES: Final = frozenset({*range(0xC0, 0xD0), JPEG_LS}) - _NO_FRAME
_ADOBE, _JFIF = b"Adobe", b"JFIF\0"


@frozen
class JpegHeader:
    """What is before the first scan.

    Attributes
    ----------
    process : int
        Marker of the frame header, without its 0xFF.
    image : Header
    identifiers : bytes
        Of the components, one byte each.
    adobe_transform : int or None
        What an Adobe marker says of the colours: 0 is RGB, 1 is YCbCr.
    is_jfif : bool
        It calls itself JFIF, where colours are YCbCr.
    is_whole : bool
        There is an end of image; none of its bytes can be in a scan.
    """

    process: int
    image: Header
    identifiers: bytes = b""
    adobe_transform: int | None = None
    is_jfif: bool = False
    is_whole: bool = True


def read_header(codestream: bytes) -> JpegHeader:
    """Return what the frame header says, which is before the first scan.

    Raises
    ------
    CodecError
        It is no JPEG, is cut off, or has no frame header or two.
    """
    frames, adobe, is_jfif, position = [], None, False, 2
    for marker, content, end in _segments(codestream):
        position = end
        if marker in _FRAMES:
            frames.append((marker, content))
        elif marker == _APP14 and content.startswith(_ADOBE) and len(content) >= 12:
            adobe = content[11]
        elif marker == _APP0 and content.startswith(_JFIF):
            is_jfif = True
    if len(frames) != 1:
        raise CodecError(f"a JPEG codestream with {len(frames)} frame headers instead of one")
    ((process, content),) = frames
    image, identifiers = _frame_header(content)
    is_whole = codestream.find(END, position) >= 0
    return JpegHeader(process, image, identifiers, adobe, is_jfif, is_whole)


def _frame_header(content: bytes) -> tuple[Header, bytes]:
    if len(content) < 6 or len(content) != 6 + 3 * content[5]:
        raise CodecError(f"a JPEG frame header of {len(content)} bytes")
    rows, columns = int.from_bytes(content[1:3], "big"), int.from_bytes(content[3:5], "big")
    return Header(rows, columns, components=content[5], precision=content[0]), content[6::3]


def _segments(codestream: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Yield marker segments up to the first scan: the marker's second byte, content, and end."""
    if codestream[:2] != bytes([0xFF, _SOI]):
        raise CodecError(f"no JPEG codestream: it begins with {codestream[:2].hex(' ')!r}")
    position = 2
    while True:
        marker, position = _marker(codestream, position)
        if marker == _SOS:
            return
        if marker == _TEM or marker in _RESTARTS:
            continue
        if marker in (_SOI, _EOI):
            raise CodecError("the JPEG codestream ends, or begins again, before its first scan")
        length = int.from_bytes(codestream[position : position + 2], "big")
        end = position + length
        if length < 2 or end > len(codestream):
            raise CodecError(f"JPEG marker segment 0xFF{marker:02X} has {length} bytes, or is cut")
        yield marker, codestream[position + 2 : end], end
        position = end


def _marker(codestream: bytes, position: int) -> tuple[int, int]:
    """Return the second byte of the marker here, and where it ends; it may begin with many 0xFF."""
    if codestream[position : position + 1] != b"\xff":
        raise CodecError(f"no JPEG marker at byte {position}")
    start = position
    while position < len(codestream) and codestream[position] == 0xFF:
        position += 1
    if position == len(codestream):
        raise CodecError(f"the JPEG codestream ends in the marker at byte {start}")
    return codestream[position], position + 1
