"""Boxes of MP4 files, and which of them say what nobody needs (ISO/IEC 14496-12)."""

import struct
from collections.abc import Iterator
from typing import Final, Protocol

from attrs import frozen

from pacs_deidentify.boxes import BEFORE_NAME, CONTAINERS, HANDLER, NEEDED, TIMES
from pacs_deidentify.errors import DeidentificationError

_MOST_BOXES: Final = 100_000
_LARGEST_INDEX: Final = 1 << 26
_INDEX: Final = b"moov"
_REFERENCES: Final = b"dref"
_WALKED: Final = CONTAINERS | {b"minf", b"dinf"}
_OF_MEDIA: Final = frozenset({b"vmhd", b"smhd", b"hmhd", b"nmhd", b"sthd", b"stbl"})
"""What of media information (minf) is needed: headers, and the table of samples (14496-12 §8.4)."""


class Reader(Protocol):
    """A file that can be read anywhere."""

    size: int

    def read_at(self, position: int, length: int) -> bytes:
        """Return bytes, fewer at the end."""


@frozen
class Box:
    """A box: its kind, where its content begins and ends, and where its kind stands."""

    kind: bytes
    start: int
    end: int
    named: int = 0


def boxes(data: bytes, start: int, end: int) -> Iterator[Box]:
    """Iterate over the boxes in a range.

    Raises
    ------
    DeidentificationError
        They do not fit into it.
    """
    for _ in range(_MOST_BOXES):
        if start + 8 > end:
            return
        size, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1:
            (size,), head = struct.unpack_from(">Q", data, start + 8), 16
        size = size or end - start
        if size < head or start + size > end:
            raise DeidentificationError("the index of its video is damaged")
        yield Box(kind, start + head, start + size, start + 4)
        start += size


def top_boxes(reader: Reader) -> Iterator[Box]:
    """Iterate over the boxes of a file; the last may be without a size, or padding."""
    position = 0
    for _ in range(_MOST_BOXES):
        head = reader.read_at(position, 16)
        if len(head) < 8:
            return
        size, kind = struct.unpack_from(">I4s", head)
        start = 8
        if size == 1:
            if len(head) < 16:
                return
            (size,), start = struct.unpack_from(">Q", head, 8), 16
        end = position + size if size else reader.size
        if end < position + start or end > reader.size:
            raise DeidentificationError("its video is damaged, or ends in the middle")
        yield Box(kind, position + start, end, position + 4)
        position = end
    raise DeidentificationError("its video has too many boxes")


def read_index(reader: Reader) -> tuple[bytes, int]:
    """Return the content of the index (moov), and where it is in the file.

    Raises
    ------
    DeidentificationError
        There is none, or several, or frames are in movie fragments, each with an index of its own.
    """
    found = []
    for box in top_boxes(reader):
        if box.kind == b"moof":
            raise DeidentificationError("its video is in movie fragments: remux it first")
        if box.kind == _INDEX:
            found.append(box)
    if len(found) != 1 or found[0].end - found[0].start > _LARGEST_INDEX:
        raise DeidentificationError("its video has no index, or several, or too large a one")
    return reader.read_at(found[0].start, found[0].end - found[0].start), found[0].start


@frozen
class Metadata:
    """Ranges that say what nobody needs, and where kinds of boxes stand that become free."""

    erased: list[tuple[int, int]]
    freed: list[int]


def named(data: bytes, box: Box) -> dict[bytes, Box]:
    """Return the boxes in a box, by their kinds."""
    return {each.kind: each for each in boxes(data, box.start, box.end)}


def is_sound(moov: bytes, trak: Box) -> bool:
    """Tell whether a track is one of sound (14496-12 §12.2)."""
    handler = named(moov, named(moov, trak)[b"mdia"])[b"hdlr"].start + 8
    return moov[handler : handler + 4] == b"soun"


def find_metadata(
    reader: Reader, moov: bytes, origin: int, *, keeps_sound: bool = False
) -> Metadata:
    """Return what is to be overwritten in a file beside its tracks.

    Parameters
    ----------
    reader : Reader
    moov : bytes
        The content of its index.
    origin : int
        Where that is.
    keeps_sound : bool, optional
        Whether tracks of sound stay.
    """
    found, end = Metadata([], []), 0
    for box in top_boxes(reader):
        if box.kind == _INDEX:
            _walk(moov, Box(_INDEX, 0, len(moov)), origin, found, keeps_sound=keeps_sound)
        elif box.kind not in NEEDED:
            _free(box, 0, found)
        end = box.end
    found.erased.append((end, reader.size - end))
    return found


def _walk(data: bytes, outer: Box, origin: int, found: Metadata, *, keeps_sound: bool) -> None:
    for box in boxes(data, outer.start, outer.end):
        if box.kind == b"trak" and not keeps_sound and is_sound(data, box):
            _free(box, origin, found)
        elif box.kind in _WALKED:
            _walk(data, box, origin, found, keeps_sound=keeps_sound)
        elif box.kind == _REFERENCES:
            # Where media are, or were: names of files and volumes, behind version and flags.
            for entry in boxes(data, box.start + 8, box.end):
                found.erased.append((origin + entry.start + 4, entry.end - entry.start - 4))
        elif box.kind in TIMES:
            times = 16 if data[box.start : box.start + 1] == b"\1" else 8
            found.erased.append((origin + box.start + 4, min(times, box.end - box.start - 4)))
        elif box.kind == HANDLER:
            name = box.start + BEFORE_NAME
            found.erased.append((origin + name, box.end - name))
        elif box.kind not in NEEDED | _OF_MEDIA:
            _free(box, origin, found)


def _free(box: Box, origin: int, found: Metadata) -> None:
    found.freed.append(origin + box.named)
    found.erased.append((origin + box.start, box.end - box.start))
