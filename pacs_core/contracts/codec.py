"""The contract of a codec: frames of one transfer syntax, in and out."""

from abc import ABC, abstractmethod
from typing import ClassVar

from attrs import frozen

from pacs_core.imaging import CodecError, FrameFormat


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

    Lossless means every bit: samples come back as they were, and so do bits above Bits Stored
    (overlays were once kept there). A codec that would lose those encodes all the bits that are
    allocated instead, or raises :class:`CodecError`.

    Attributes
    ----------
    takes_packed_bits : bool
        Frames with Bits Allocated of 1 go in and out as they are natively, eight pixels to a byte.
        Otherwise each pixel is a byte, 0 or 1, and Bits Allocated 8 as far as the codec knows:
        that is a composite pixel code of RLE (PS3.5 G.2), and a sample of JPEG 2000.
    """

    takes_packed_bits: ClassVar[bool] = False

    @abstractmethod
    def decode(self, codestream: bytes, frame: FrameFormat) -> DecodedFrame:
        """Return the native frame that a codestream holds.

        Parameters
        ----------
        codestream : bytes
            One frame: its fragments joined, perhaps with a byte of padding at the end.
        frame : FrameFormat
            What the dataset says of it. Rows, columns and samples of the codestream must agree.

        Returns
        -------
        DecodedFrame
            Of the size that its format says. The format is `frame` but for the photometric
            interpretation: components that the syntax itself transformed come back as RGB
            (YBR_RCT, YBR_ICT; YBR_FULL_422 and YBR_FULL of lossy JPEG), and all others as they are.
            There are three samples for each pixel: what still says YBR_FULL_422 is YBR_FULL.

        Raises
        ------
        CodecError
            The codestream is broken, or is not what the dataset says.
        """

    @abstractmethod
    def encode(self, data: bytes, frame: FrameFormat, options: EncodeOptions) -> EncodedFrame:
        """Return the codestream of a native frame.

        Parameters
        ----------
        data : bytes
            Exactly ``frame.size`` bytes.
        frame : FrameFormat
        options : EncodeOptions
            Without effect where the transfer syntax is lossless.

        Returns
        -------
        EncodedFrame
            Its format is what the dataset must say of it (PS3.5 §8.2), the same for every frame
            of the same format.

        Raises
        ------
        CodecError
            The transfer syntax cannot hold such a frame, or `data` has another size.
        """

    def recompress(self, codestream: bytes, frame: FrameFormat, target: str) -> EncodedFrame:
        """Return the codestream in another transfer syntax, without decoding it.

        Optional: only asked of codecs whose descriptor names the pair in `recompresses`.

        Parameters
        ----------
        codestream, frame
            As `decode` is given them.
        target : str
            Transfer syntax UID to convert to.

        Returns
        -------
        EncodedFrame
            Nothing is lost: decoding it gives the same samples, and recompressing it the other
            way, where that is possible, the same codestream. Its format is what the dataset must
            say of it, as that of `encode`.

        Raises
        ------
        CodecError
            The codestream is broken, is not what the dataset says, or cannot be recompressed.
        """
        raise CodecError(f"this codec does not recompress to {target}")
