"""Choice of what edits a video: by its transfer syntax, and by what it is packed into."""

from collections.abc import Sequence
from functools import partial
from typing import IO, Final, Protocol

from pacs_deidentify.errors import DeidentificationError
from pacs_deidentify.video.elementary import ElementaryStream
from pacs_deidentify.video.packets import ProgramStream, TransportStream
from pacs_deidentify.video.samples import Mp4
from pacs_deidentify.video.units import H264, H265, Codec, Mpeg2

_ROOT: Final = "1.2.840.10008.1.2.4."
_CODECS: Final[dict[str, type[Codec]]] = {
    **dict.fromkeys(("100", "101"), Mpeg2),
    **dict.fromkeys(("102", "103", "104", "105", "106"), H264),
    **dict.fromkeys(("107", "108"), H265),
}
_BOXES: Final = frozenset({b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"})
_SYNC: Final = 0x47
_PACKET: Final = 188
_PERIODS: Final = (_PACKET, 192, 204)
"""From packet to packet: bare, with a time stamp before each (BDAV), or with parity behind it."""

_LOOKED_AT: Final = 5 * _PERIODS[-1]
_AFTER_VIDEO: Final = 0xB9
"""The first start code that is of systems, not of video (ISO/IEC 13818-1 Table 2-22)."""

_MOST_FRAGMENTS: Final = 1 << 20


class VideoEditor(Protocol):
    """Overwrites in place what a video says beside pictures, and its sound."""

    @property
    def found(self) -> bool:
        """Whether anything was overwritten."""

    @property
    def silenced(self) -> bool:
        """Whether sound was among it."""

    def edit(self, data: bytearray, start: int, end: int) -> None:
        """Edit a range of the video, which follows that of the call before."""


class Fragments:
    """The value of encapsulated Pixel Data, read as one file (PS3.5 A.4).

    Parameters
    ----------
    content : file
    places : sequence of (int, int)
        Where the values of the fragments are in it, and how long they are.
    """

    def __init__(self, content: IO[bytes], places: Sequence[tuple[int, int]]) -> None:
        if len(places) > _MOST_FRAGMENTS:
            raise DeidentificationError(f"its video is in more than {_MOST_FRAGMENTS} fragments")
        self._content, self._places = content, places
        self.size = sum(length for _, length in places)

    def read_at(self, position: int, length: int) -> bytes:
        """Return bytes, fewer at the end."""
        pieces = []
        for start, size in self._places:
            if position < size and length:
                self._content.seek(start + position)
                pieces.append(self._content.read(min(length, size - position)))
                length -= len(pieces[-1])
            position = max(position - size, 0)
        return b"".join(pieces)


def video_editor(
    transfer_syntax_uid: str, fragments: Fragments, *, keeps_sound: bool = False
) -> VideoEditor:
    """Return what edits a video.

    Parameters
    ----------
    transfer_syntax_uid : str
    fragments : Fragments
    keeps_sound : bool, optional
        Whether sound stays as it is.

    Raises
    ------
    DeidentificationError
        Its index is damaged, or it is of a kind that cannot be edited.
    """
    number = transfer_syntax_uid.removeprefix(_ROOT).partition(".")[0]
    codec = _CODECS.get(number, H265)()
    start = fragments.read_at(0, _LOOKED_AT)
    if start[4:8] in _BOXES:
        return Mp4(fragments, keeps_sound=keeps_sound)
    if place := _find_packets(start):
        make_stream = partial(ElementaryStream, codec)
        return TransportStream(make_stream, *place, keeps_sound=keeps_sound)
    code = start.lstrip(b"\0")[:2]
    if len(code) < 2 or code[0] != 1 or not start.startswith(b"\0\0"):
        raise DeidentificationError("its video is of a kind that cannot be looked into")
    if code[1] < _AFTER_VIDEO:
        return ElementaryStream(codec)
    return ProgramStream(ElementaryStream(codec), keeps_sound=keeps_sound)


def _find_packets(start: bytes) -> tuple[int, int] | None:
    """Return where the first packet of a transport stream is, and what is between two of them."""
    for period in _PERIODS:
        for first in range(min(period, len(start) - period)):
            if all(byte == _SYNC for byte in start[first::period]):
                return first, period - _PACKET
    return None
