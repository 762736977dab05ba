"""Units of video streams, of which those that carry what anybody may write are overwritten."""

from abc import ABC, abstractmethod
from enum import Enum, auto
from typing import Final

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

_FF: Final = 0xFF
_BLANKED: Final = bytes([0, *[_FF] * 255])
_FILLER: Final = bytes(byte if byte in {0, 0x03, 0x80} else _FF for byte in range(256))
_ESCAPE: Final = b"\0\0\3"

_KEPT_MESSAGES: Final = frozenset({
    0, 1, 2, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 45, 47,
    129, 130, 131, 132, 134, 135, 136, 137, 144, 147,
})  # fmt: skip
"""Types of messages that have numbers only: times, geometry, colours (H.264 D.1, H.265 D.2).

Not among them: user data, registered (4) or not (5), filler (3), messages in messages, and text.
"""


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
    """Supplemental enhancement information (H.264 7.3.2.3.1, H.265 7.3.5)."""

    def __init__(self) -> None:
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
                if self._type not in _KEPT_MESSAGES:
                    changed = True
                    data[at:stop] = data[at:stop].translate(_BLANKED)
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
        return UserData() if header[0] == 0xB2 else None


class H264(Codec):
    """H.264 (Table 7-1): SEI, filler data, and types that are not specified."""

    def unit(self, header: bytes) -> Unit | None:
        """See base."""
        kind = header[0] & 0x1F
        if kind == 6:
            return Sei()
        return Filler() if kind in {0, 12} or kind >= 24 else None


class H265(Codec):
    """H.265 (Table 7-1): SEI before and after pictures, filler data, and types not specified."""

    header = 2

    def unit(self, header: bytes) -> Unit | None:
        """See base."""
        kind = header[0] >> 1 & 0x3F
        if kind in {39, 40}:
            return Sei()
        return Filler() if kind == 38 or kind >= 41 else None
