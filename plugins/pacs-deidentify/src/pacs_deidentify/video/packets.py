"""Packets of MPEG-2 systems: program streams and transport streams (ISO/IEC 13818-1)."""

from collections.abc import Callable
from typing import Final

from pacs_deidentify.video.elementary import ElementaryStream

_VIDEO: Final = range(0xE0, 0xF0)
_FIRST_PACKET: Final = 0xBC
_PADDING: Final = frozenset({0xBE, 0xBF})
"""Padding, and private data without a header (2.4.3.7): nothing in them is shown."""

_SOUND: Final = frozenset({*range(0xC0, 0xE0), 0xBD, 0xFD})
"""MPEG audio; private streams, which have that of others, and captions, too (Table 2-22)."""

_PADDING_STREAM: Final = 0xBE
_STREAM_ID: Final = 3
"""Byte of a PES packet at which its stream_id is."""

_TABLES_OF_STREAM: Final = frozenset({0xBB, 0xBC})
"""System header and program stream map."""

_PES_START: Final = 6
"""Bytes of a PES packet up to the end of its length."""

_LONGEST_HEADER: Final = 64
_PACKET: Final = 188
_SYNC: Final = 0x47
_NULL: Final = 0x1FFF
_PREFIX: Final = b"\0\0\1"
_FIRST_TABLES: Final = range(4)
_SERVICE_INFORMATION: Final = range(0x10, 0x20)
"""PIDs of tables for viewers: names of programmes, providers, the time of day (ETSI EN 300 468)."""


class _Pes:
    """What of a packetized elementary stream is its header, and what its payload (2.4.3.6)."""

    def __init__(self, stream: ElementaryStream) -> None:
        self._stream = stream
        self.begin()

    def begin(self) -> None:
        """Start with a packet, from behind PES_packet_length on."""
        self._head = bytearray()
        self._left = -1

    def edit(self, data: bytearray, start: int, end: int) -> None:
        """Edit a range of a packet."""
        at = start
        while at < end and self._left < 0:
            self._head.append(data[at])
            at += 1
            self._left = self._length_left()
        skipped = min(max(self._left, 0), end - at)
        self._left -= skipped
        if at + skipped < end:
            self._stream.edit(data, at + skipped, end)

    def _length_left(self) -> int:
        """Return how much of the header is to come; -1 if that is not known yet."""
        head = bytes(self._head)
        if head[0] >> 6 == 2:
            return head[2] if len(head) == 3 else -1
        # MPEG-1: stuffing, the size of a buffer, and times (ISO/IEC 11172-1 2.4.3.3)
        head = head.lstrip(b"\xff")
        if head and head[0] >> 6 == 1:
            head = head[2:]
        if not head:
            return -1 if len(self._head) < _LONGEST_HEADER else 0
        return {2: 4, 3: 9}.get(head[0] >> 4, 0)


class ProgramStream:
    """Overwrites what a program stream says, in its video and in packets that are not shown.

    Packets of all else become padding, with the length that they have.

    Parameters
    ----------
    stream : ElementaryStream
        Of its video.
    keeps_sound : bool, optional
        Whether packets of sound stay.

    Attributes
    ----------
    silenced : bool
        Whether sound was overwritten.
    """

    def __init__(self, stream: ElementaryStream, *, keeps_sound: bool = False) -> None:
        self.silenced = False
        self._kept = _TABLES_OF_STREAM | (_SOUND if keeps_sound else frozenset())
        self._stream, self._pes = stream, _Pes(stream)
        self._code = bytearray()
        self._left = 0
        self._id = 0

    @property
    def found(self) -> bool:
        """Whether anything was overwritten."""
        return self._stream.found or self.silenced

    def edit(self, data: bytearray, start: int, end: int) -> None:
        """Edit a range, which follows that of the call before."""
        at = start
        while at < end:
            if self._left:
                stop = min(end, at + self._left)
                self._left -= stop - at
                if self._id in _VIDEO:
                    self._pes.edit(data, at, stop)
                elif self._id not in self._kept:
                    data[at:stop] = b"\xff" * (stop - at)
                at = stop
            else:
                at = self._find_packet(data, at, end)

    def _find_packet(self, data: bytearray, at: int, end: int) -> int:
        """Read up to the length of a packet, passing over what is none."""
        if not self._code:
            found = data.find(b"\0", at, end)
            if found < 0:
                return end
            at = found
        self._code.append(data[at])
        code = self._code
        if len(code) == 3 and code == b"\0\0\0":
            del code[0]
        elif code[:3] != b"\0\0\1"[: len(code)] or (len(code) == 4 and code[3] < _FIRST_PACKET):
            code.clear()
        elif len(code) == 4 and code[3] not in _VIDEO and code[3] not in self._kept | _PADDING:
            self.silenced = self.silenced or code[3] in _SOUND
            data[at] = code[3] = _PADDING_STREAM
        elif len(code) == 6:
            self._id, self._left = code[3], int.from_bytes(code[4:], "big")
            self._pes.begin()
            code.clear()
        return at + 1


class TransportStream:
    """Overwrites what a transport stream says, in its video and in packets that are not shown.

    Parameters
    ----------
    make_stream : callable
        Makes the editor of a video.
    before, between : int, optional
        Bytes before the first packet, and between two of them.
    keeps_sound : bool, optional
        Whether packets of sound stay. Those of all else that is neither picture nor table, and
        those before the first that says what they are, become padding.

    Attributes
    ----------
    silenced : bool
        Whether sound was overwritten.
    """

    def __init__(
        self,
        make_stream: Callable[[], ElementaryStream],
        before: int = 0,
        between: int = 0,
        *,
        keeps_sound: bool = False,
    ) -> None:
        self.silenced = False
        self._make_stream = make_stream
        self._kept_streams = _SOUND if keeps_sound else frozenset[int]()
        self._kept: set[int] = set(_FIRST_TABLES)
        self._videos: dict[int, tuple[ElementaryStream, _Pes]] = {}
        self._at = 0
        self._skipped, self._between = before, between
        self._head = bytearray()

    @property
    def found(self) -> bool:
        """Whether anything was overwritten."""
        return self.silenced or any(stream.found for stream, _ in self._videos.values())

    def edit(self, data: bytearray, start: int, end: int) -> None:
        """Edit a range, which follows that of the call before."""
        at = start
        while at < end:
            if self._skipped:
                passed = min(self._skipped, end - at)
                self._skipped -= passed
                at += passed
                continue
            if not self._at and data[at] != _SYNC:
                # What is between packets is passed over by those who read them (2.4.3.3).
                at = data.find(_SYNC, at, end) if _SYNC in data[at:end] else end
                continue
            stop = min(end, at + _PACKET - self._at)
            self._edit_packet(data, at, stop)
            self._at = (self._at + stop - at) % _PACKET
            self._skipped = 0 if self._at else self._between
            at = stop

    def _edit_packet(self, data: bytearray, start: int, end: int) -> None:
        """Edit a packet, or the next part of one (2.4.3.2)."""
        if not self._at:
            self._head.clear()
        self._head += data[start:end]
        head = self._head
        if len(head) < 4 or not head[3] & 0x10 or (head[3] & 0x20 and len(head) < 5):
            return
        pid = (head[1] & 0x1F) << 8 | head[2]
        begins = bool(head[1] & 0x40)
        payload = 4 + (1 + head[4] if head[3] & 0x20 else 0)
        passed = max(self._at - payload, 0)
        start += max(payload - self._at, 0)
        if start >= end:
            return
        if pid == _NULL or pid in _SERVICE_INFORMATION:
            data[start:end] = b"\xff" * (end - start)
            if begins and not passed:
                data[start] = 0  # a pointer to a table of nothing but stuffing (2.4.4.2)
            return
        if begins and passed < _PES_START:
            first = bytes(head[payload : payload + _PES_START])
            if first[:_STREAM_ID] != _PREFIX[: len(first)]:
                self._kept.add(pid)  # a section of a table (2.4.4.1)
            elif len(first) > _STREAM_ID and passed <= _STREAM_ID:
                self._begin(pid, data, start + _STREAM_ID - passed)
            if len(first) < _PES_START:
                return
            start += _PES_START - passed
        if pid in self._videos:
            self._videos[pid][1].edit(data, start, max(start, end))
        elif pid not in self._kept and start < end:
            data[start:end] = b"\xff" * (end - start)

    def _begin(self, pid: int, data: bytearray, at: int) -> None:
        """Begin with a PES packet, whose stream_id is somewhere."""
        stream_id = data[at]
        self._kept.discard(pid)
        if stream_id in _VIDEO:
            if pid not in self._videos:
                stream = self._make_stream()
                self._videos[pid] = stream, _Pes(stream)
            self._videos[pid][1].begin()
            return
        self._videos.pop(pid, None)
        if stream_id in self._kept_streams:
            self._kept.add(pid)
            return
        self.silenced = self.silenced or stream_id in _SOUND
        data[at] = _PADDING_STREAM
