"""Sequence parameter sets of H.264, and the transfer syntaxes that they fit.

PS3.5 §8.2.7 to §8.2.9; ISO/IEC 14496-10 §7.3.2.1.1, Annex A.
"""

from typing import Final

from attrs import frozen

from pacs_core.api.file_commands import CommandError

_HIGH_PROFILES: Final = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
"""Profiles whose parameter sets tell of chroma and bit depth."""

_BASELINE, _MAIN, _HIGH = 66, 77, 100
_CHROMA_420: Final = 1
_EXTENDED_SAR: Final = 255
_LONGEST_CODE: Final = 32
_MOST_MACROBLOCKS: Final = 4096
_LEVELS: Final = ((41, "1.2.840.10008.1.2.4.102"), (42, "1.2.840.10008.1.2.4.104"))
"""Highest level, times ten, and transfer syntax: High Profile at 4.1, and at 4.2 for 2D video."""


@frozen
class Sequence:
    """What a sequence parameter set says.

    Attributes
    ----------
    profile, level : int
        As coded: 100 is High Profile, 41 is level 4.1.
    constraints : int
        constraint_set flags, the first as the highest bit.
    rows, columns : int
        Of the picture, after cropping.
    chroma : int
        1 is 4:2:0.
    bits : int
        Of a sample.
    """

    profile: int
    level: int
    constraints: int
    rows: int
    columns: int
    chroma: int
    bits: int


class _Bits:
    """Reads bits of a parameter set, from the highest on."""

    def __init__(self, data: bytes) -> None:
        # 00 00 03 stands for 00 00 (§7.4.1): start codes cannot occur within.
        data = data.replace(b"\0\0\3", b"\0\0")
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        """Return an unsigned number of so many bits."""
        if count > self._left:
            raise CommandError("the H.264 sequence parameter set is cut off")
        self._left -= count
        return self._value >> self._left & (1 << count) - 1

    def ue(self) -> int:
        """Return an Exp-Golomb coded number (§9.1)."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > _LONGEST_CODE:
                raise CommandError("the H.264 sequence parameter set is damaged")
        return (1 << zeros) - 1 + self.take(zeros)

    def se(self) -> int:
        """Return a signed Exp-Golomb coded number (§9.1.1)."""
        code = self.ue()
        return (code + 1) // 2 if code % 2 else -(code // 2)


def read_sequence(unit: bytes) -> Sequence:
    """Return what a sequence parameter set says.

    Parameters
    ----------
    unit : bytes
        The NAL unit, its header included.

    Raises
    ------
    CommandError
        It is none, or damaged.
    """
    if len(unit) < 4 or unit[0] & 0x1F != 7 or len(unit) > 1 << 16:
        raise CommandError("the video has no H.264 sequence parameter set")
    profile, constraints, level = unit[1:4]
    bits = _Bits(unit[4:])
    bits.ue()
    chroma, depth = _CHROMA_420, 8
    if profile in _HIGH_PROFILES:
        chroma, depth = _chroma(bits)
    bits.ue()
    _pass_order_count(bits)
    bits.ue()
    bits.take(1)
    columns, rows = bits.ue() + 1, bits.ue() + 1
    frames_only = bits.take(1)
    if not frames_only:
        bits.take(1)
    bits.take(1)
    if max(rows, columns) > _MOST_MACROBLOCKS:
        raise CommandError("the H.264 sequence parameter set is damaged")
    left, right, top, bottom = (bits.ue() for _ in range(4)) if bits.take(1) else (0, 0, 0, 0)
    x = 2 if chroma in {1, 2} else 1
    y = (2 if chroma == _CHROMA_420 else 1) * (2 - frames_only)
    height, width = (
        16 * rows * (2 - frames_only) - y * (top + bottom),
        16 * columns - x * (left + right),
    )
    if height <= 0 or width <= 0:
        raise CommandError("the H.264 sequence parameter set crops all of the picture")
    return Sequence(profile, level, constraints, height, width, chroma, depth)


def _chroma(bits: _Bits) -> tuple[int, int]:
    """Return the format of chroma, and the bits of a sample, and pass over scaling lists."""
    chroma = bits.ue()
    if chroma == 3:
        bits.take(1)
    depth = 8 + max(bits.ue(), bits.ue())
    bits.take(1)
    if bits.take(1):
        for number in range(12 if chroma == 3 else 8):
            if bits.take(1):
                _pass_scaling_list(bits, 16 if number < 6 else 64)
    return chroma, depth


def _pass_scaling_list(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


def _pass_order_count(bits: _Bits) -> None:
    kind = bits.ue()
    if kind == 0:
        bits.ue()
    elif kind == 1:
        bits.take(1)
        bits.se()
        bits.se()
        for _ in range(min(bits.ue(), 255)):
            bits.se()


def transfer_syntax_of(sequence: Sequence, *, fragmented: bool = False) -> str:
    """Return the transfer syntax that has videos of this kind.

    Parameters
    ----------
    sequence : Sequence
    fragmented : bool
        It takes more than one fragment, which other transfer syntaxes are for.

    Raises
    ------
    CommandError
        There is none: another profile, a higher level, or other samples.
    """
    # What decoders of High Profile decode: Main, and Baseline that is constrained (A.2.4).
    is_main = sequence.profile in {_MAIN, _HIGH}
    is_constrained = sequence.profile == _BASELINE and bool(sequence.constraints & 0x40)
    if not (is_main or is_constrained) or sequence.bits != 8 or sequence.chroma != _CHROMA_420:
        raise CommandError(
            f"H.264 of profile {sequence.profile} with {sequence.bits} bits: DICOM has High "
            "Profile with 8 bits and 4:2:0 only"
        )
    for highest, uid in _LEVELS:
        if sequence.level <= highest:
            return f"{uid}.1" if fragmented else uid
    raise CommandError(f"H.264 of level {sequence.level / 10}: DICOM has none beyond level 4.2")
