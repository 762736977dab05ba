"""Rearranges samples: by plane or by pixel, byte order, chroma of two pixels, single bits."""

from array import array
from typing import TypeAlias

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


def with_all_chroma(frame: Buffer) -> bytes:
    """Return a native YBR_FULL_422 frame as YBR_FULL: chroma of two pixels given to each.

    Four bytes of the frame are two pixels: Y1, Y2, Cb, Cr (PS3.3 C.7.6.3.1.2).
    """
    pairs, out = bytes(frame), bytearray(len(frame) // 2 * 3)
    for target, source in ((0, 0), (3, 1), (1, 2), (4, 2), (2, 3), (5, 3)):
        out[target::6] = pairs[source::4]
    return bytes(out)


def swapped(words: Buffer) -> bytes:
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
        return swapped(data[:whole])


def shifted(packed: Buffer, shift: int, bits: int) -> bytes:
    """Return `bits` bits from bit `shift` on, the least significant bit first (PS3.5 §8.1.1)."""
    number = int.from_bytes(packed, "little") >> shift & (1 << bits) - 1
    return number.to_bytes((bits + 7) // 8, "little")


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
