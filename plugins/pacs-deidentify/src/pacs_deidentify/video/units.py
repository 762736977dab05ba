"""Units of video streams, of which those that carry what anybody may write are overwritten."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from enum import Enum, auto
from typing import Final

from pacs_deidentify.video.timing import PictureTiming, find_pic_struct

# Theory of operation
#
# Streams are edited in place and without looking ahead: whatever a byte becomes is decided when it
# comes, so that it does not matter where a fragment, a packet or a read ends, and nothing is held
# back. How many bytes there are does not change, and with it no length, offset or table.
#
# In MPEG-2, user data (start code B2) end with the next start code, and have no 23 zero bits before
# it (ISO/IEC 13818-2 6.2.2.2.2, 6.3.4.1): each byte becomes FF. In H.264 and H.265, a NAL unit of
# supplemental enhancement information (SEI) has messages of a type and a size, which stay (ITU-T
# H.264 7.3.2.3, H.265 7.3.2.4); the payload becomes FF but for bytes that are zero. With these,
# each 00 00 03 that stands for 00 00 stays as well (H.264 7.4.1), and the payload has the size that
# is said. No decoder needs such messages for its pictures (H.264 Annex D); those that help it to
# time and show them stay, and of all others nothing is known.
#
# The clock says when somebody was examined. A group of pictures of MPEG-2 has a time code that no
# decoder uses (ISO/IEC 13818-2 6.3.8): it becomes zero. So do, in effect, the times of picture
# timing messages of H.264, see timing.py; those of H.265 have none, but time code messages (136).

_FF: Final = 0xFF
_BLANKED: Final = bytes([0, *[_FF] * 255])
_FILLER: Final = bytes(byte if byte in {0, 0x03, 0x80} else _FF for byte in range(256))
_ESCAPE: Final = b"\0\0\3"

_KEPT_MESSAGES: Final = frozenset({
    0, 1, 2, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 45, 47,
    129, 130, 131, 132, 134, 135, 137, 144, 147,
})  # fmt: skip
"""Types of messages that have numbers only: times, geometry, colours (H.264 D.1, H.265 D.2).

Not among them: user data, registered (4) or not (5), filler (3), messages in messages, text, and
time codes of H.265 (136).
"""

_PICTURE_TIMING: Final = 1
_UNKNOWN: Final = -1
_LONGEST_SET: Final = 1 << 12
_TIME_CODE: Final = (0x80, 0x08, 0x00, 0x7F)
"""Bits of the first bytes of a group of pictures that are no time (13818-2 6.2.2.6)."""


class Unit(ABC):
    """A unit of a stream, from behind its header on."""

    @abstractmethod
    def edit(self, data: bytearray, start: int, end: int) -> bool:
        """Overwrite what is to be in a range; tell whether anything was."""

    def pass_zeros(self, count: int) -> None:
        """Take note of zero bytes that have gone by as they are."""
        if count:
            self.edit(bytearray(count), 0, count)


class UserData(Unit):
    """User data of MPEG-2."""

    def edit(self, data: bytearray, start: int, end: int) -> bool:
        """See base."""
        data[start:end] = b"\xff" * (end - start)
        return end > start


class GroupOfPictures(Unit):
    """A header of a group of pictures of MPEG-2, whose time code becomes zero."""

    def __init__(self) -> None:
        self._at = 0

    def edit(self, data: bytearray, start: int, end: int) -> bool:
        """See base."""
        before = data[start:end]
        for at, mask in zip(range(start, end), _TIME_CODE[self._at :], strict=False):
            data[at] &= mask
        self._at += end - start
        return data[start:end] != before


class ParameterSet(Unit):
    """A sequence parameter set of H.264, which is read and stays."""

    def __init__(self) -> None:
        self.content = bytearray()

    def edit(self, data: bytearray, start: int, end: int) -> bool:
        """See base."""
        self.content += data[start : min(end, start + _LONGEST_SET - len(self.content))]
        return False


class Filler(Unit):
    """Filler data, and units of types that nobody has specified."""

    def edit(self, data: bytearray, start: int, end: int) -> bool:
        """See base."""
        before = data[start:end]
        data[start:end] = before.translate(_FILLER)
        return data[start:end] != before


class _State(Enum):
    TYPE = auto()
    SIZE = auto()
    PAYLOAD = auto()


class Sei(Unit):
    """Supplemental enhancement information (H.264 7.3.2.3.1, H.265 7.3.5).

    Parameters
    ----------
    pic_struct : int, optional
        The bit at which picture timing messages have it; None if they tell no clock times, and -1
        if it is not known whether they do.
    """

    def __init__(self, pic_struct: int | None = None) -> None:
        self._pic_struct = pic_struct
        self._timing = PictureTiming(0)
        self._state = _State.TYPE
        self._number = self._type = 0
        self._zeros = 0

    def edit(self, data: bytearray, start: int, end: int) -> bool:
        """See base."""
        changed, at = False, start
        while at < end:
            if self._zeros >= 2 and data[at] == 3:  # an escape, which is no part of a message
                self._zeros = 0
                at += 1
            elif self._state is _State.PAYLOAD:
                stop = self._pass(data, at, end)
                before = data[at:stop]
                timing = self._pic_struct if self._type == _PICTURE_TIMING else None
                if self._type not in _KEPT_MESSAGES or timing == _UNKNOWN:
                    data[at:stop] = before.translate(_BLANKED)
                elif timing is not None:
                    data[at:stop] = bytes(map(self._timing.edit, before))
                changed |= data[at:stop] != before
                at = stop
            else:
                self._take(data[at])
                at += 1
        return changed

    def _take(self, byte: int) -> None:
        self._zeros = 0 if byte else self._zeros + 1
        self._number += byte
        if byte == _FF:
            return
        if self._state is _State.TYPE:
            self._type, self._number, self._state = self._number, 0, _State.SIZE
        else:
            self._state = _State.PAYLOAD if self._number else _State.TYPE
            if self._type == _PICTURE_TIMING:
                self._timing = PictureTiming(self._pic_struct or 0)

    def _pass(self, data: bytearray, at: int, end: int) -> int:
        """Go over bytes of a payload, at least one, up to an escape or its end; return where."""
        stop = min(end, at + self._number)
        before = bytes(min(self._zeros, 2))
        piece = before + data[at:stop]
        if (found := piece.find(_ESCAPE)) >= 0:
            piece = piece[: found + 2]
            stop = at + len(piece) - len(before)
        self._number -= stop - at
        self._zeros = len(piece) - len(piece.rstrip(b"\0"))
        if not self._number:
            self._state = _State.TYPE
        return stop


class Codec(ABC):
    """Headers of units, by the standard of a stream."""

    header = 1
    """Bytes of the header of a unit."""

    @abstractmethod
    def unit(self, header: bytes) -> Unit | None:
        """Return a unit in which something is to be overwritten, None for any other."""


class Mpeg2(Codec):
    """MPEG-2 Video (ISO/IEC 13818-2 6.2.1), and those of MPEG that have the same start codes."""

    def unit(self, header: bytes) -> Unit | None:
        """See base."""
        if header[0] == 0xB2:
            return UserData()
        return GroupOfPictures() if header[0] == 0xB8 else None


class H264(Codec):
    """H.264 (Table 7-1): SEI, filler data, and types that are not specified.

    Parameters
    ----------
    parameter_sets : iterable of bytes, optional
        Sequence parameter sets that are not in the stream, from behind their headers on.
    """

    def __init__(self, parameter_sets: Iterable[bytes] = ()) -> None:
        self._pic_structs = {_read(content) for content in parameter_sets}
        self._set: ParameterSet | None = None

    def unit(self, header: bytes) -> Unit | None:
        """See base."""
        kind = header[0] & 0x1F
        if kind not in {6, 7}:
            return Filler() if kind in {0, 12} or kind >= 24 else None
        if self._set:
            self._pic_structs.add(_read(bytes(self._set.content)))
            self._set = None
        if kind == 6:
            # Which set a picture is of is said after its messages.
            known = tuple(self._pic_structs)
            return Sei(known[0] if len(known) == 1 else _UNKNOWN)
        self._set = ParameterSet()
        return self._set


def _read(parameter_set: bytes) -> int | None:
    try:
        return find_pic_struct(parameter_set)
    except ValueError:
        return _UNKNOWN


class H265(Codec):
    """H.265 (Table 7-1): SEI before and after pictures, filler data, and types not specified."""

    header = 2

    def unit(self, header: bytes) -> Unit | None:
        """See base."""
        kind = header[0] >> 1 & 0x3F
        if kind in {39, 40}:
            return Sei()
        return Filler() if kind == 38 or kind >= 41 else None
