"""JPEG and JPEG-LS codestreams (ISO/IEC 10918-1 Annex B, 14495-1 Annex C), without decoding."""

import re
from collections.abc import Iterator
from typing import Final

from attrs import frozen

from pacs_core.imaging.codestream import CodestreamImage, MarkerWalk
from pacs_core.imaging.frame import CodecError, FrameFormat

# Theory of operation
#
# Codestreams are walked marker by marker, never decoded. Three questions are answered before a
# library sees a frame:
#
#   size    A library allocates what the frame header asks for, so that is compared with the
#           dataset.
#   end     Senders pad frames and leave things behind them. The end is found by walking over scans:
#           in entropy coded data FF is followed by 00, a restart marker or, in JPEG-LS, less than
#           80H.
#   colour  Whether components are YCbCr is said by the codestream first (Adobe, JFIF), then by the
#           dataset, because Photometric Interpretation is often that of the image before
#           compression.
#
# The walk takes bytes as they arrive and remembers where it is, so that the end of a frame is found
# across fragments without looking at anything twice. Damage makes it pass over bytes as decoders
# do, until something looks like a marker again.

JPEG_BASELINE: Final = 0xC0
"""SOF0: baseline DCT."""
JPEG_EXTENDED: Final = 0xC1
"""SOF1: extended sequential DCT, Huffman coding."""
JPEG_PROGRESSIVE: Final = 0xC2
"""SOF2: progressive DCT, Huffman coding."""
JPEG_LOSSLESS: Final = 0xC3
"""SOF3: lossless, Huffman coding."""
JPEG_LS: Final = 0xF7
"""SOF55: JPEG-LS."""
EOI: Final = b"\xff\xd9"

_SOI, _EOI, _SOS, _TEM, _APP0, _APP14 = 0xD8, 0xD9, 0xDA, 0x01, 0xE0, 0xEE
_ALONE: Final = frozenset({_TEM, _SOI, *range(0xD0, 0xD8)})
"""Markers without a segment."""
_FRAMES: Final = frozenset({*range(0xC0, 0xD0), JPEG_LS}) - {0xC4, 0xC8, 0xCC}
"""DHT, JPG and DAC are among the numbers of frame headers."""
_ADOBE, _JFIF = b"Adobe", b"JFIF\0"
_ADOBE_RGB: Final = 0

# In entropy coded data FF is followed by 00, a restart marker, or in JPEG-LS by less than 80.
_AFTER_SCAN: Final = re.compile(rb"\xff[\xc0-\xcf\xd9-\xef\xf7\xf8\xfe]")


@frozen
class JpegHeader:
    """What precedes the first scan, and where the codestream ends.

    Attributes
    ----------
    process : int
        Marker of the frame header, without its FF.
    image : CodestreamImage
    identifiers : bytes
        Of the components, one byte each.
    sampling : bytes
        Horizontal and vertical sampling factor of each component, in one byte.
    adobe_transform : int or None
        What an Adobe marker says of the colours: 0 is RGB, 1 is YCbCr.
    is_jfif : bool
        It calls itself JFIF, where colours are YCbCr.
    scans : int
        How many there are: more than one in a progressive codestream.
    end : int
        Bytes of the codestream: what follows is padding, or whatever a sender left there.
    is_whole : bool
        There is an end of image (EOI). Without one it was cut off, or the writer forgot it.
    """

    process: int
    image: CodestreamImage
    identifiers: bytes
    sampling: bytes
    adobe_transform: int | None
    is_jfif: bool
    scans: int
    end: int
    is_whole: bool

    @property
    def is_subsampled(self) -> bool:
        """Whether a component has fewer samples than another."""
        return len(set(self.sampling)) > 1


def read_jpeg(codestream: bytes) -> JpegHeader:
    """Return what a codestream says of itself.

    Raises
    ------
    CodecError
        It is no JPEG, is cut off before its first scan, or has no frame header or two.
    """
    frames, adobe, is_jfif = [], None, False
    for marker, content in _segments(codestream):
        if marker in _FRAMES:
            frames.append((marker, content))
        elif marker == _APP14 and content.startswith(_ADOBE) and len(content) >= 12:
            adobe = content[11]
        elif marker == _APP0 and content.startswith(_JFIF):
            is_jfif = True
    if len(frames) != 1:
        raise CodecError(f"a JPEG codestream with {len(frames)} frame headers instead of one")
    ((process, content),) = frames
    if len(content) < 6 or len(content) != 6 + 3 * content[5]:
        raise CodecError(f"a JPEG frame header of {len(content)} bytes, which does not add up")
    rows, columns = (int.from_bytes(content[at : at + 2], "big") for at in (1, 3))
    image = CodestreamImage(rows, columns, components=content[5], precision=content[0])
    walk = JpegWalk()
    walk.advance(codestream)
    end = walk.position if walk.ended else len(codestream)
    return JpegHeader(
        process,
        image,
        content[6::3],
        content[7::3],
        adobe,
        is_jfif,
        walk.scans,
        end,
        walk.ended,
    )


def is_ycbcr(header: JpegHeader, frame: FrameFormat) -> bool:
    """Return whether the components of a lossy JPEG are YCbCr, and not RGB.

    What the codestream says of itself goes first, as in all decoders of JPEG: who wrote Adobe's
    marker or JFIF knew the colours, while Photometric Interpretation is often a copy of that of
    the image before compression. Where the codestream says nothing, the dataset does
    (PS3.5 §8.2.1).

    Parameters
    ----------
    header : JpegHeader
        Of a codestream with three components.
    frame : FrameFormat
        What the dataset says.
    """
    if header.adobe_transform is not None:
        return header.adobe_transform != _ADOBE_RGB
    if header.is_jfif:
        return True
    return header.identifiers != b"RGB" and frame.photometric_interpretation != "RGB"


def ended_jpegs(codestream: bytes, header: JpegHeader) -> tuple[bytes, ...]:
    """Return a codestream from SOI to EOI; if the writer forgot that, what it may have been.

    The first is to be tried before the second, which has one byte less: it may be padding.
    """
    data = codestream[: header.end]
    if header.is_whole:
        return (data,)
    return (data + EOI, data[:-1] + EOI) if data.endswith(b"\0") else (data + EOI,)


class JpegWalk(MarkerWalk):
    """Finds EOI: segments by their lengths, scans by what may follow FF in them.

    Attributes
    ----------
    scans : int
        How many have begun.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scans = 0
        self._in_scan = False

    def _step(self, data: bytes | bytearray) -> bool:
        if self._in_scan:
            return self._pass_scan(data)
        at = self.position
        if len(data) < at + 2:
            return False
        if data[at] != 0xFF:  # damaged, or garbage that decoders pass over as well
            self._in_scan = True
            return True
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            self.position += 1
        elif marker == _EOI:
            self.position += 2
            self.ended = True
        elif marker in _ALONE:
            self.position += 2
        elif len(data) < at + 4:
            return False
        else:
            self.position += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
            self._in_scan = marker == _SOS
            self.scans += self._in_scan
        return True

    def _pass_scan(self, data: bytes | bytearray) -> bool:
        found = _AFTER_SCAN.search(data, self.position)
        if found is None:
            self.position = max(self.position, len(data) - 1)
            return False
        self.position = found.start()
        self._in_scan = False
        return True


def _segments(codestream: bytes) -> Iterator[tuple[int, bytes]]:
    """Iterate over the marker segments up to the first scan."""
    if codestream[:2] != bytes([0xFF, _SOI]):
        raise CodecError(f"no JPEG codestream: it begins with {codestream[:2].hex(' ')!r}")
    position = 2
    while True:
        marker, position = _marker(codestream, position)
        if marker == _SOS:
            return
        if marker in (0, _SOI, _EOI):
            raise CodecError("the JPEG codestream ends, or begins again, before its first scan")
        if marker in _ALONE:
            continue
        length = int.from_bytes(codestream[position : position + 2], "big")
        end = position + length
        if length < 2 or end > len(codestream):
            raise CodecError(f"JPEG marker segment FF{marker:02X} has {length} bytes, or is cut")
        yield marker, codestream[position + 2 : end]
        position = end


def _marker(codestream: bytes, position: int) -> tuple[int, int]:
    """Return the second byte of the marker here, and where it ends; it may begin with many FF."""
    start = position
    while codestream[position : position + 1] == b"\xff":
        position += 1
    if position == start:
        raise CodecError(f"no JPEG marker at byte {start}, where one is due before the first scan")
    if position == len(codestream):
        raise CodecError(f"the JPEG codestream ends in the marker at byte {start}")
    return codestream[position], position + 1
