"""Elements of pixels in files: where they are, and how they are copied, blanked on the way."""

import struct
from itertools import pairwise
from typing import IO, Final

from attrs import frozen

from pacs_core.api.images import is_video
from pacs_core.dataset import Encoding
from pacs_deidentify.actions import Action
from pacs_deidentify.attributes import tag_text
from pacs_deidentify.blanking import Layout, blank_planes
from pacs_deidentify.codestreams import frame_editor
from pacs_deidentify.deflation import Writer
from pacs_deidentify.errors import DeidentificationError
from pacs_deidentify.report import Report
from pacs_deidentify.video.editor import Fragments, VideoEditor, video_editor

_PIXEL_DATA: Final = 0x7FE0_0010
_CHUNK: Final = 1 << 20
_HEADER: Final = 8
_UNDEFINED: Final = 0xFFFF_FFFF
_ITEM: Final = 0xFFFE_E000
_END: Final = 0xFFFE_E0DD


@frozen
class PixelSpan:
    """Where in a file an element of pixels is, its header included.

    Attributes
    ----------
    start, value, end : int
    encapsulated : bool
    words : bool
        Whether the value is one of words (OW).
    """

    start: int
    value: int
    end: int
    encapsulated: bool
    words: bool = False


def find_pixels(content: IO[bytes], encoding: Encoding) -> PixelSpan | None:
    """Return the element of pixels at which the file is, None at the end of the dataset."""
    start = content.tell()
    head = content.read(12)
    if not head:
        return None
    order = "little" if encoding.little_endian else "big"
    wide = encoding.explicit
    length = int.from_bytes(head[8:12] if wide else head[4:8], order)  # type: ignore[arg-type]
    value = start + (12 if wide else 8)
    size = content.seek(0, 2)
    if length != _UNDEFINED:
        if value + length > size:
            raise DeidentificationError("it ends in the middle of its pixels")
        words = not wide or head[4:6] == b"OW"
        return PixelSpan(start, value, value + length, False, words)
    position = value
    while True:  # items up to the delimiter (PS3.5 A.4); these are always little endian
        content.seek(position)
        item = content.read(8)
        tag = int.from_bytes(item[:2], "little") << 16 | int.from_bytes(item[2:4], "little")
        length = int.from_bytes(item[4:], "little")
        position += 8
        if len(item) == 8 and tag == _END:
            return PixelSpan(start, value, position, True)
        if len(item) < 8 or tag != _ITEM or position + length > size:
            raise DeidentificationError("its pixels are damaged, or it ends in the middle")
        position += length


def copy_pixels(
    content: IO[bytes], span: PixelSpan, layout: Layout | None, report: Report, out: Writer,
    used: tuple[int, int], transfer_syntax_uid: str = "", *, keeps_sound: bool = False,
) -> None:  # fmt: skip
    """Copy an element of pixels.

    Parameters
    ----------
    content : file
    span : PixelSpan
        Where it is.
    layout : Layout or None
        Of what is to be blanked; None if nothing is.
    report : Report
        What is to be blanked.
    out : Writer
    used : tuple of int
        See :func:`used_length`.
    transfer_syntax_uid : str, optional
        Tells whether it is a video, and of which kind.
    keeps_sound : bool, optional
        Whether a video may be heard.

    Raises
    ------
    DeidentificationError
        It is damaged, or a video that cannot be looked into.
    """
    content.seek(span.start)
    out.write(content.read(span.value - span.start))
    if span.encapsulated:
        video = None
        if transfer_syntax_uid and is_video(transfer_syntax_uid):
            fragments = Fragments(content, _fragments(content, span))
            video = video_editor(transfer_syntax_uid, fragments, keeps_sound=keeps_sound)
            content.seek(span.value)
        _copy_fragments(content, span.end, out, video)
        if video and video.found:
            report.changes.append((f"{tag_text(_PIXEL_DATA)} user data", Action.CLEAN))
        if video and video.silenced:
            report.changes.append((f"{tag_text(_PIXEL_DATA)} sound", Action.REMOVE))
        return
    left = span.end - span.value
    if layout:
        if layout.length > left:
            raise DeidentificationError("Pixel Data is shorter than its attributes say")
        regions, face = report.regions or (), report.face
        clears = report.clears_unused
        for plane in blank_planes(content, layout, regions, clears_unused=clears, face=face):
            out.write(plane)
            left -= len(plane)
    # What is less than a frame after the last one is no image; it may be anything.
    surplus = span.end - span.value - used[0]
    surplus = min(surplus, left) if 0 < surplus < used[1] else 0
    left -= surplus
    _copy(content, left, out)
    out.write(bytes(surplus))


def _fragments(content: IO[bytes], span: PixelSpan) -> list[tuple[int, int]]:
    """Return where the fragments are, without the offset table before them."""
    places, position = [], span.value
    while position + _HEADER < span.end:
        content.seek(position)
        length = int.from_bytes(content.read(_HEADER)[4:], "little")
        places.append((position + _HEADER, length))
        position += _HEADER + length
    return places[1:]


def _copy_fragments(
    content: IO[bytes], end: int, out: Writer, video: VideoEditor | None = None
) -> None:
    editor, is_table = frame_editor(), True
    while content.tell() < end:
        head = content.read(_HEADER)
        if content.tell() >= end:  # the delimiter, whatever length it says that it has
            out.write(head)
            return
        left = int.from_bytes(head[4:], "little")
        if is_table:
            table = content.read(left)
            table = table if _is_offset_table(table, end - content.tell()) else b""
            out.write(head[:4] + len(table).to_bytes(4, "little") + table)
            is_table = False
            continue
        out.write(head)
        while left:
            data = content.read(min(left, _CHUNK))
            if not data:
                raise DeidentificationError("it ends in the middle of its pixels")
            left -= len(data)
            if video:
                changed = bytearray(data)
                video.edit(changed, 0, len(changed))
                out.write(bytes(changed))
            else:
                out.write(editor.feed(data, ends=not left))


def _is_offset_table(table: bytes, size: int) -> bool:
    """Whether the first item has offsets of frames (PS3.5 A.4), and not something else."""
    if len(table) % 4:
        return False
    offsets = struct.unpack(f"<{len(table) // 4}I", table)
    is_ascending = all(first < second for first, second in pairwise(offsets))
    return not offsets or (offsets[0] == 0 and is_ascending and offsets[-1] < size)


def _copy(content: IO[bytes], left: int, out: Writer) -> None:
    while left:
        data = content.read(min(left, _CHUNK))
        if not data:
            raise DeidentificationError("it ends in the middle of its pixels")
        out.write(data)
        left -= len(data)
