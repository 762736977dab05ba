"""Frames as codecs take them: what describes one, and that it is wrong."""

from attrs import frozen


class CodecError(ValueError):
    """A frame cannot be decoded or encoded; the message says what is wrong with it."""


@frozen
class FrameFormat:
    """The Image Pixel attributes that describe a frame (PS3.3 C.7.6.3).

    A frame that is handed to a codec, or comes from one, has its samples by pixel: Planar
    Configuration 0. The kernel rearranges those that are stored by plane.

    Attributes
    ----------
    rows, columns : int
        In pixels.
    samples_per_pixel : int
        1 or 3.
    bits_allocated, bits_stored : int
        Of one sample; a native sample takes `bits_allocated` bits, little endian.
    is_signed : bool
        Pixel Representation is 1: samples are in two's complement.
    photometric_interpretation : str
        As PS3.3 C.7.6.3.1.2 names it.
    planar_configuration : int
        0 by pixel, 1 by plane.
    """

    rows: int
    columns: int
    samples_per_pixel: int
    bits_allocated: int
    bits_stored: int
    is_signed: bool
    photometric_interpretation: str
    planar_configuration: int = 0

    @property
    def size(self) -> int:
        """Length of a native frame in bytes, without padding."""
        bits = self.rows * self.columns * self.samples_per_pixel * self.bits_allocated
        return (bits + 7) // 8
