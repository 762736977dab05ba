"""The contract of a codec: frames of one transfer syntax, in and out."""

from abc import ABC, abstractmethod

from attrs import frozen


class CodecError(ValueError):
    """A frame cannot be decoded or encoded; the message says what is wrong with it."""


@frozen
class FrameFormat:
    """The Image Pixel attributes that describe a frame (PS3.3 C.7.6.3)."""

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


@frozen
class EncodeOptions:
    """How to encode where the transfer syntax leaves a choice.

    Attributes
    ----------
    quality : float or None
        From 0 to 100, for lossy syntaxes.
    ratio : float or None
        Target compression ratio, for lossy syntaxes.
    """

    quality: float | None = None
    ratio: float | None = None


@frozen
class DecodedFrame:
    """A native frame, little endian, and its format, which decoding may have changed."""

    data: bytes
    format: FrameFormat


@frozen
class EncodedFrame:
    """A codestream, and the format of the image that it now holds."""

    data: bytes
    format: FrameFormat


class Codec(ABC):
    """Decodes and encodes single frames. Runs in worker processes: no state, no event loop.

    Whatever the input, a codec returns a frame or raises :class:`CodecError`. The kernel still
    assumes that the library underneath may crash or hang.
    """

    @abstractmethod
    def decode(self, codestream: bytes, frame: FrameFormat) -> DecodedFrame:
        """Return the native frame of exactly ``frame.size`` bytes, if the format is kept."""

    @abstractmethod
    def encode(self, data: bytes, frame: FrameFormat, options: EncodeOptions) -> EncodedFrame:
        """Return the codestream of a native frame."""
