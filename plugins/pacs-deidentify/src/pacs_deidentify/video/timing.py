"""Clock times of pictures in H.264 (ITU-T H.264 D.1.3, D.2.3) and MPEG-2 (ISO/IEC 13818-2 6.2.2.6).

Cameras write there when a picture was taken. In H.264 a picture timing message has, after delays of
buffers, pic_struct, by which fields and frames are shown, and then up to three times, each behind a
flag. How long the delays are, and whether there are times at all, says the sequence parameter set.
"""

from typing import Final

_HIGH_PROFILES: Final = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})
"""Profiles whose parameter sets tell of chroma, bit depth and scaling lists."""

_TIMES: Final = (1, 1, 1, 2, 2, 3, 3, 2, 3)
"""NumClockTS by pic_struct (Table D-1)."""

_PIC_STRUCT: Final = 4
_EXTENDED_SAR: Final = 255
_LONGEST_CODE: Final = 32
_MOST_BUFFERS: Final = 32
_CHROMA_444: Final = 3


class _Bits:
    """Reads bits of a parameter set, from the highest on (H.264 7.2, 9.1)."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        if count > self._left:
            raise ValueError("the sequence parameter set is cut off")
        self._left -= count
        return self._value >> self._left & (1 << count) - 1

    def ue(self) -> int:
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > _LONGEST_CODE:
                raise ValueError("the sequence parameter set is damaged")
        return (1 << zeros) - 1 + self.take(zeros)


def find_pic_struct(parameter_set: bytes) -> int | None:
    """Return the bit of picture timing messages at which pic_struct is, None if they have none.

    Parameters
    ----------
    parameter_set : bytes
        A sequence parameter set, from behind the header of its unit on (H.264 7.3.2.1.1).

    Raises
    ------
    ValueError
        It is damaged.
    """
    # 00 00 03 stands for 00 00 (7.4.1).
    bits = _Bits(parameter_set.replace(b"\0\0\3", b"\0\0"))
    profile = bits.take(24) >> 16
    bits.ue()
    if profile in _HIGH_PROFILES:
        _pass_chroma(bits)
    bits.ue()
    _pass_order_count(bits)
    bits.ue()  # max_num_ref_frames
    bits.take(1)
    bits.ue()
    bits.ue()
    if not bits.take(1):  # frame_mbs_only_flag
        bits.take(1)
    bits.take(1)
    if bits.take(1):  # frame_cropping_flag
        for _ in range(4):
            bits.ue()
    return _read_usability(bits) if bits.take(1) else None


def _pass_chroma(bits: _Bits) -> None:
    chroma = bits.ue()
    if chroma == _CHROMA_444:
        bits.take(1)
    bits.ue()
    bits.ue()
    bits.take(1)
    if not bits.take(1):
        return
    for number in range(12 if chroma == _CHROMA_444 else 8):
        if bits.take(1):  # a scaling list (7.3.2.1.1.1)
            last = following = 8
            for _ in range(16 if number < 6 else 64):
                if following:
                    code = bits.ue()
                    following = (last + ((code + 1) // 2 if code % 2 else -(code // 2))) % 256
                last = following or last


def _pass_order_count(bits: _Bits) -> None:
    kind = bits.ue()
    if kind == 0:
        bits.ue()
    elif kind == 1:
        bits.take(1)
        bits.ue()
        bits.ue()
        for _ in range(min(bits.ue(), 255)):
            bits.ue()


def _read_usability(bits: _Bits) -> int | None:
    """Read video usability information (E.1.1)."""
    if bits.take(1) and bits.take(8) == _EXTENDED_SAR:
        bits.take(32)
    if bits.take(1):
        bits.take(1)
    if bits.take(1):  # video_signal_type_present_flag
        bits.take(4)
        if bits.take(1):
            bits.take(24)
    if bits.take(1):  # chroma_loc_info_present_flag
        bits.ue()
        bits.ue()
    if bits.take(1):  # timing_info_present_flag
        bits.take(65)
    delays = 0
    buffers = False
    for _ in ("NAL", "VCL"):
        if bits.take(1):
            buffers, delays = True, _read_delays(bits)
    if buffers:
        bits.take(1)
    return delays if bits.take(1) else None


def _read_delays(bits: _Bits) -> int:
    """Return how many bits the delays of a picture have (hrd_parameters, E.1.2)."""
    count = bits.ue() + 1
    if count > _MOST_BUFFERS:
        raise ValueError("the sequence parameter set is damaged")
    bits.take(8)
    for _ in range(count):
        bits.ue()
        bits.ue()
        bits.take(1)
    bits.take(5)
    delays = bits.take(5) + 1 + bits.take(5) + 1
    bits.take(5)
    return delays


class PictureTiming:
    """Takes clock times out of the bytes of a picture timing message, as they come.

    Flags of times become zero and what follows them ones, which a decoder takes for an extension
    of the message. No byte becomes zero, so that no start code can arise, and bytes that are zero
    stay, for they may be escaped.

    Parameters
    ----------
    pic_struct : int
        The bit at which pic_struct is.
    """

    def __init__(self, pic_struct: int) -> None:
        self._start = pic_struct
        self._at = 0
        self._pic_struct = 0
        self._has_times = False

    def edit(self, byte: int) -> int:
        """Return what becomes of the next byte."""
        made = 0
        for position in range(7, -1, -1):
            made = made << 1 | self._bit(byte >> position & 1)
        return (made or byte) if byte else 0

    def _bit(self, bit: int) -> int:
        after = self._at - self._start
        self._at += 1
        if after < 0:
            return bit
        if after < _PIC_STRUCT:
            self._pic_struct = self._pic_struct << 1 | bit
            return bit
        times = _TIMES[self._pic_struct] if self._pic_struct < len(_TIMES) else 3
        if after < _PIC_STRUCT + times:
            # The first flag that is set has a time behind it, not the next flag.
            self._has_times = self._has_times or bool(bit)
            return 0
        return 1 if self._has_times else bit
