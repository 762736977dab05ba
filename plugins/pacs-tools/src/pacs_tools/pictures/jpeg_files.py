"""JPEG files as DICOM has them: which transfer syntax, which colours, without what is not needed.

PS3.5 §8.2.1, A.4.1; ISO/IEC 10918-1 Annex B, 10918-5 (JFIF); Exif 2.3.
"""

import re
import struct
from collections.abc import Iterator
from typing import Final

from attrs import frozen

from pacs_core.api.file_commands import CommandError
from pacs_core.api.images import (
    JPEG_BASELINE,
    JPEG_EXTENDED,
    JPEG_LOSSLESS,
    JPEG_LS,
    CodecError,
    JpegHeader,
    read_jpeg,
)

_SYNTAX: Final = "1.2.840.10008.1.2.4."
_SOI: Final = b"\xff\xd8"
_APP0, _APP1, _APP2, _APP15, _COM, _SOS = 0xE0, 0xE1, 0xE2, 0xEF, 0xFE, 0xDA
_ICC: Final = b"ICC_PROFILE\0"
_JFIF: Final = b"JFIF\0"
_JFIF_SEGMENT: Final = b"\xff\xe0\0\x10"
_BEFORE_THUMBNAIL: Final = 12
_COLOURS: Final = {0xE8: b"mrfx", 0xEE: b"Adobe"}
"""Application data on which colours depend: of JPEG-LS, and of Adobe."""

_AFTER_SCAN: Final = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")
"""A marker, and neither what is stuffed nor a restart."""

_EXIF: Final = b"Exif\0\0"
_ORIENTATION: Final = 0x0112
_ADOBE_RGB: Final = 0


@frozen
class JpegFile:
    """A JPEG file that becomes a frame as it is.

    Attributes
    ----------
    codestream : bytes
        Without comments and application data but those that colours depend on: Exif has names of
        places and people, and thumbnails.
    header : JpegHeader
    transfer_syntax : str
    photometric : str
    icc_profile : bytes
        Empty if there is none.
    """

    codestream: bytes
    header: JpegHeader
    transfer_syntax: str
    photometric: str
    icc_profile: bytes


def read_jpeg_file(data: bytes) -> JpegFile:
    """Return a JPEG file as a frame.

    Raises
    ------
    CommandError
        It is damaged, or no transfer syntax has its like, or pictures of its orientation.
    """
    try:
        header = read_jpeg(data)
    except CodecError as error:
        raise CommandError(str(error)) from error
    if not header.is_whole:
        raise CommandError("the JPEG is cut off: it has no end")
    kept, profile = bytearray(_SOI), b""
    selection = 0
    for marker, start, end in _segments(data):
        content = data[start + 4 : end]
        if marker == _SOS:
            selection = content[1 + 2 * content[0]] if content else 0
            kept += data[start:end] + _scans(data, end, header.end)
        elif marker == _APP2 and content.startswith(_ICC):
            profile += content[len(_ICC) + 2 :]
        elif marker == _APP1 and content.startswith(_EXIF):
            _check_orientation(content[len(_EXIF) :])
        elif marker == _APP0 and content.startswith(_JFIF):
            kept += _JFIF_SEGMENT + content[:_BEFORE_THUMBNAIL] + b"\0\0"
        elif content.startswith(_COLOURS.get(marker, b"-")) or not _is_comment(marker):
            kept += data[start:end]
    syntax = _transfer_syntax(header, selection)
    return JpegFile(bytes(kept), header, syntax, _photometric(header), profile)


def _is_comment(marker: int) -> bool:
    return marker == _COM or _APP0 <= marker <= _APP15


def _scans(data: bytes, start: int, end: int) -> bytes:
    """Return what follows the header of the first scan, without comments between scans."""
    kept, position = bytearray(), start
    while found := _AFTER_SCAN.search(data, position, end - 2):
        first, marker = found.start(), data[found.start() + 1]
        kept += data[position:first]
        position = first + 2 + int.from_bytes(data[first + 2 : first + 4], "big")
        if not _is_comment(marker):
            kept += data[first:position]
    return bytes(kept + data[position:end])


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Iterate over marker, begin and end of the segments up to the first scan, which is last.

    `read_jpeg` has been over them: their lengths are right.
    """
    position = 2
    while True:
        while data[position + 1] == 0xFF:
            position += 1
        marker = data[position + 1]
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        yield marker, position, end
        if marker == _SOS:
            return
        position = end


def _transfer_syntax(header: JpegHeader, selection: int) -> str:
    lossless = "70" if selection == 1 else "57"
    numbers = {
        JPEG_BASELINE: "50",
        JPEG_EXTENDED: "51",
        JPEG_LOSSLESS: lossless,
        JPEG_LS: "81" if selection else "80",
    }
    number = numbers.get(header.process)
    if number is None:
        raise CommandError(
            "it is a progressive or arithmetic JPEG, for which there is no transfer syntax: say "
            "--decode"
        )
    return f"{_SYNTAX}{number}"


def _photometric(header: JpegHeader) -> str:
    if header.image.components == 1:
        return "MONOCHROME2"
    if header.image.components != 3:
        raise CommandError(
            f"it has {header.image.components} components: DICOM has no CMYK, convert it to RGB"
        )
    is_rgb = header.adobe_transform == _ADOBE_RGB or (
        header.adobe_transform is None and not header.is_jfif and header.identifiers == b"RGB"
    )
    if is_rgb or header.process in {JPEG_LOSSLESS, JPEG_LS}:
        return "RGB"
    return "YBR_FULL_422"


def _check_orientation(exif: bytes) -> None:
    """Refuse a picture that Exif says is to be turned, since DICOM would show it as it lies."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None or len(exif) < 10:
        return
    (first,) = struct.unpack_from(f"{order}I", exif, 4)
    entries = exif[first : first + 2]
    if len(entries) < 2:
        return
    (count,) = struct.unpack(f"{order}H", entries)
    for number in range(count):
        entry = exif[first + 2 + 12 * number :][:12]
        if len(entry) == 12 and struct.unpack_from(f"{order}H", entry)[0] == _ORIENTATION:
            (value,) = struct.unpack_from(f"{order}H", entry, 8)
            if value not in {0, 1}:
                raise CommandError(
                    f"Exif says that it is to be turned (orientation {value}), which DICOM has no "
                    "attribute for: say --decode"
                )
            return
