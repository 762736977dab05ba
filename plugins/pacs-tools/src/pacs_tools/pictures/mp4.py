"""Boxes of MP4 files, as far as they tell of a video (ISO/IEC 14496-12, 14496-15)."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from attrs import frozen

from pacs_core.api.file_commands import CommandError

_MOST_BOXES: Final = 10_000
_LARGEST_MOOV: Final = 256 << 20
_VISUAL_ENTRY: Final = 78
"""Bytes of a visual sample entry before the boxes in it."""


@frozen
class Video:
    """The video track of a file.

    Attributes
    ----------
    coding : str
        Of the sample entry: ``avc1``, ``hvc1``, ...
    parameter_set : bytes
        First H.264 sequence parameter set, as a NAL unit; empty of another coding.
    frames : int
    duration : float
        In seconds.
    """

    coding: str
    parameter_set: bytes
    frames: int
    duration: float


def read_mp4(path: Path) -> Video:
    """Return the video track of an MP4 file.

    Raises
    ------
    CommandError
        It is no MP4, has no video or several, is damaged, or is cut into movie fragments.
    """
    with path.open("rb") as file:
        size = path.stat().st_size
        if file.read(12)[4:8] != b"ftyp":
            raise CommandError(f"{path}: it is no MP4: it does not begin with ftyp")
        moov = _read_moov(path, file, size)
    tracks = []
    try:
        if any(name == b"mvex" for name, _ in _boxes(moov)):
            raise CommandError(f"{path}: its frames are in movie fragments: remux it first")
        for name, trak in _boxes(moov):
            if name == b"trak" and (video := _track(trak)) is not None:
                tracks.append(video)
    except (struct.error, KeyError, IndexError, ZeroDivisionError) as error:
        raise CommandError(f"{path}: its boxes are damaged") from error
    if len(tracks) != 1:
        raise CommandError(f"{path}: it has {len(tracks)} video tracks instead of one")
    return tracks[0]


def _read_moov(path: Path, file: BinaryIO, size: int) -> bytes:
    """Return the index, having gone over all boxes: what is cut off is refused."""
    position, moov = 0, b""
    for _ in range(_MOST_BOXES):
        file.seek(position)
        header = file.read(16)
        if len(header) < 8:
            break
        length, name = struct.unpack_from(">I4s", header)
        start = 8
        if length == 1 and len(header) == 16:
            (length,), start = struct.unpack_from(">Q", header, 8), 16
        length = length or size - position
        if length < start or position + length > size:
            raise CommandError(f"{path}: it is cut off, or damaged at byte {position}")
        if name == b"moov":
            if length > _LARGEST_MOOV:
                raise CommandError(f"{path}: its index is larger than 256 MiB")
            file.seek(position + start)
            moov = file.read(length - start)
        position += length
    if not moov:
        raise CommandError(f"{path}: it has no index (moov)")
    return moov


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Iterate over name and content of the boxes in a box."""
    position = 0
    while position + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        if length < 8:
            break
        yield name, data[position + 8 : position + length]
        position += length


def _track(trak: bytes) -> Video | None:
    """Return what a track says; None if it is no video."""
    media = dict(_boxes(dict(_boxes(trak))[b"mdia"]))
    if media[b"hdlr"][8:12] != b"vide":
        return None
    form = ">xxxxQQIQ" if media[b"mdhd"][0] == 1 else ">xxxxIIII"
    _, _, scale, duration = struct.unpack_from(form, media[b"mdhd"])
    table = dict(_boxes(dict(_boxes(media[b"minf"]))[b"stbl"]))
    (frames,) = struct.unpack_from(">I", table[b"stsz"], 8)
    coding, entry = next(_boxes(table[b"stsd"][8:]))
    avcc = dict(_boxes(entry[_VISUAL_ENTRY:])).get(b"avcC", b"")
    parameter_set = b""
    if avcc:
        (length,) = struct.unpack_from(">H", avcc, 6)
        parameter_set = avcc[8 : 8 + length]
    return Video(coding.decode("latin-1"), parameter_set, frames, duration / scale)
