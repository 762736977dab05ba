"""Rearranges samples: by plane or by pixel, byte order, chroma of two pixels, single bits.

Numbers of any length do in one step what a loop over samples would do in a million.
"""

from array import array
from typing import TypeAlias

from pacs_core.imaging.errors import ImageError
from pacs_core.imaging.frame import FrameFormat

# Theory of operation
#
# Nothing here depends on NumPy, which the kernel does not need, and nothing loops over samples in
# Python, which would take seconds for a frame. There are two ways to have the interpreter do a
# million samples in one step, both in C underneath:
#
#   slices with a step  every nth byte of one buffer is assigned to every mth of another: planes to
#                       pixels, chroma to pixels
#
#   one long number     a frame is taken as one integer, little endian; to shift and mask it is to
#                       shift and mask all samples at once, with a mask that repeats (`ones`)
#
# The cost of the second is that of adding numbers of a megabyte, and no carry crosses a sample,
# since masks and shifts carry nothing.

Buffer: TypeAlias = bytes | bytearray | memoryview


def by_pixel(frame: Buffer, sample_size: int) -> bytes:
    """Return a frame of three planes with its samples by pixel (PS3.3 C.7.6.3.1.3).

    Parameters
    ----------
    frame : bytes-like
        Planar Configuration 1.
    sample_size : int
        Bytes of one sample.
    """
    planes, out = bytes(frame), bytearray(len(frame))
    size = len(frame) // 3
    for index in range(3 * sample_size):
        plane, byte = divmod(index, sample_size)
        out[index :: 3 * sample_size] = planes[
            plane * size + byte : (plane + 1) * size : sample_size
        ]
    return bytes(out)


def by_plane(frame: Buffer, sample_size: int) -> bytes:
    """Return a frame of three samples by pixel as three planes; undoes :func:`by_pixel`."""
    pixels, out = bytes(frame), bytearray(len(frame))
    size = len(frame) // 3
    for index in range(3 * sample_size):
        plane, byte = divmod(index, sample_size)
        out[plane * size + byte : (plane + 1) * size : sample_size] = pixels[
            index :: 3 * sample_size
        ]
    return bytes(out)


def upsample_chroma(frame: Buffer) -> bytes:
    """Return a native YBR_FULL_422 frame as YBR_FULL: chroma of two pixels given to each.

    Four bytes of the frame are two pixels: Y1, Y2, Cb, Cr (PS3.3 C.7.6.3.1.2).
    """
    pairs, out = bytes(frame), bytearray(len(frame) // 2 * 3)
    for target, source in ((0, 0), (3, 1), (1, 2), (4, 2), (2, 3), (5, 3)):
        out[target::6] = pairs[source::4]
    return bytes(out)


def swap_words(words: Buffer) -> bytes:
    """Return 16-bit words with their bytes swapped: OW in the other byte order (PS3.5 §7.3)."""
    numbers = array("H", bytes(words))
    numbers.byteswap()
    return numbers.tobytes()


class WordSwapper:
    """Swaps the bytes of 16-bit words that arrive in pieces of any length."""

    def __init__(self) -> None:
        self._odd = b""

    def feed(self, data: Buffer) -> bytes:
        """Return the words that are complete now, swapped."""
        if self._odd:
            data = self._odd + data
        whole = len(data) & ~1
        self._odd = bytes(data[whole:])
        return swap_words(data[:whole])


def shift_bits(packed: Buffer, shift: int, bits: int) -> bytes:
    """Return `bits` bits from bit `shift` on, the least significant bit first (PS3.5 §8.1.1)."""
    number = int.from_bytes(packed, "little") >> shift & (1 << bits) - 1
    return number.to_bytes((bits + 7) // 8, "little")


def align_samples(frame: Buffer, form: FrameFormat, low_bits: int) -> bytes:
    """Return samples that begin at bit `low_bits` of their containers from bit 0 on.

    Parameters
    ----------
    frame : bytes-like
        Native, little endian.
    form : FrameFormat
        Of the frame.
    low_bits : int
        Bits below each sample: High Bit + 1 - Bits Stored (PS3.5 §8.1.1).

    Raises
    ------
    ImageError
        Bits outside of the samples are in use: as overlays once were, which would be lost.
    """
    allocated, stored = form.bits_allocated, form.bits_stored
    # A 1 in the lowest bit of each container: multiplied by a mask it is that mask, repeated.
    ones = int.from_bytes(
        (1).to_bytes(allocated // 8, "little") * (8 * len(frame) // allocated), "little"
    )
    words = int.from_bytes(frame, "little")
    samples = words >> low_bits & ones * ((1 << stored) - 1)
    spare = allocated - stored - low_bits
    above = words >> low_bits + stored & ones * ((1 << spare) - 1)
    # The sign bit of each sample, moved to where `ones` has its bits.
    signs = (samples >> stored - 1 & ones) if form.is_signed else 0
    if words & ones * ((1 << low_bits) - 1) or above not in (0, signs * ((1 << spare) - 1)):
        high_bit = low_bits + stored - 1
        raise ImageError(
            f"HighBit is {high_bit} with {stored} of {allocated} bits stored, but bits outside of "
            "the samples are in use (by an overlay, or HighBit is wrong)"
        )
    samples |= signs * ((1 << allocated) - (1 << stored))
    return samples.to_bytes(len(frame), "little")


_TO_DIGITS = bytes.maketrans(b"\0\1", b"01")
_TO_BYTES = bytes.maketrans(b"01", b"\0\1")
_TO_BITS = bytes([0]) + bytes([1]) * 255


def bytes_of_bits(frame: Buffer, count: int) -> bytes:
    """Return single bits, the least significant of each byte first, as a byte each: 0 or 1."""
    number = int.from_bytes(frame, "little") & (1 << count) - 1
    return f"{number:0{count}b}".encode().translate(_TO_BYTES)[::-1]


def bits_of_bytes(frame: Buffer) -> bytes:
    """Return bytes as a bit each, 1 for all but 0; undoes :func:`bytes_of_bits`."""
    digits = bytes(frame).translate(_TO_BITS).translate(_TO_DIGITS)[::-1]
    return int(b"0" + digits, 2).to_bytes((len(frame) + 7) // 8, "little")


class BitPacker:
    """Packs frames of single bits without padding between them (PS3.5 §8.1.1)."""

    def __init__(self, frame_bits: int) -> None:
        self._frame_bits = frame_bits
        self._bits = 0
        self._count = 0

    def feed(self, frame: Buffer) -> bytes:
        """Return the bytes that are full now."""
        mask = (1 << self._frame_bits) - 1
        self._bits |= (int.from_bytes(frame, "little") & mask) << self._count
        self._count += self._frame_bits
        whole, self._count = divmod(self._count, 8)
        full = (self._bits & (1 << 8 * whole) - 1).to_bytes(whole, "little")
        self._bits >>= 8 * whole
        return full

    def finish(self) -> bytes:
        """Return the last byte, if it is not full."""
        return bytes([self._bits]) if self._count else b""
