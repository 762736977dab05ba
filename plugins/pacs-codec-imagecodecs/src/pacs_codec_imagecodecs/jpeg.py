"""JPEG: baseline, extended and lossless (PS3.5 §8.2.1), with libjpeg-turbo."""

from typing import Any, Final

from attrs import evolve
from imagecodecs import jpeg8_decode, jpeg8_encode

from pacs_codec_imagecodecs.base import GREY, ImageCodec, refuse
from pacs_codec_imagecodecs.header import Header
from pacs_codec_imagecodecs.jpeg_header import BASELINE, EXTENDED, LOSSLESS, read_jpeg
from pacs_codec_imagecodecs.rate import encode_lossy
from pacs_codec_imagecodecs.samples import Samples, patterns
from pacs_core.contracts import CodecError, EncodeOptions, FrameFormat

YBR: Final = frozenset({"YBR_FULL", "YBR_FULL_422"})
_BLOCK, _BITS_PER_BLOCK = 8, 2
_AS_IS: Final = "RGB"
"""Equal spaces on both sides: components are not transformed, whatever they are."""


def _check_length(codestream: bytes, bits: int) -> None:
    """Refuse what is too short for its pixels: the library would fill the frame up with grey."""
    if 8 * len(codestream) < bits:
        raise CodecError(
            f"{len(codestream)} bytes cannot hold this frame, which takes at least {bits // 8}"
        )


def read_lossy_jpeg(codestream: bytes, processes: frozenset[int]) -> Header:
    """Return the header of a sequential DCT codestream.

    Raises
    ------
    CodecError
        It is damaged, of another process, or too short for its pixels.
    """
    header = read_jpeg(codestream, processes).header
    blocks = -(-header.rows // _BLOCK) * -(-header.columns // _BLOCK)
    _check_length(codestream, _BITS_PER_BLOCK * blocks)
    return header


class LossyJpegCodec(ImageCodec):
    """Processes 1, 2 and 4: DCT, 8 or 12 bit, sequential.

    Whether components are YCbCr is what the dataset says, not what JFIF or Adobe markers suggest.

    Parameters
    ----------
    precisions : tuple of int
        Sample precisions that the transfer syntax allows.
    """

    transformed = YBR

    def __init__(self, precisions: tuple[int, ...]) -> None:
        self._precisions = precisions

    def _read(self, codestream: bytes) -> Header:
        header = read_lossy_jpeg(codestream, frozenset({BASELINE, EXTENDED}))
        if header.precision not in self._precisions:
            raise CodecError(f"samples of {header.precision} bits, not of {self._precisions}")
        return header

    def _decoded(self, codestream: bytes, frame: FrameFormat) -> Samples:
        if frame.samples_per_pixel == 1:
            return jpeg8_decode(codestream)
        space = "YCBCR" if frame.photometric_interpretation in YBR else _AS_IS
        return jpeg8_decode(codestream, colorspace=space, outcolorspace="RGB")

    def _as_encoded(self, frame: FrameFormat, options: EncodeOptions) -> FrameFormat:
        """Chroma is halved horizontally, which Table 8.2.1-1 names YBR_FULL_422.

        Signed samples would be torn at zero, and other Bits Stored exceeded by rounding.
        """
        name = frame.photometric_interpretation
        stored = (frame.bits_stored, frame.bits_allocated) in ((8, 8), (12, 16))
        if frame.is_signed or not stored or frame.bits_stored not in self._precisions:
            raise refuse(frame, "lossy JPEG")
        if name in GREY:
            return frame
        if name not in {"RGB", *YBR} or frame.bits_stored != 8:
            raise refuse(frame, "lossy JPEG")
        return evolve(frame, photometric_interpretation="YBR_FULL_422")

    def _encoded(
        self, samples: Samples, precision: int, frame: FrameFormat, options: EncodeOptions
    ) -> bytes:
        if precision != frame.bits_stored:
            raise CodecError(f"samples exceed their {frame.bits_stored} bits stored")
        space = "RGB" if frame.photometric_interpretation == "RGB" else "YCBCR"
        colour = {"colorspace": space, "outcolorspace": "YCBCR", "subsampling": "422"}
        arguments: dict[str, Any] = colour if frame.samples_per_pixel == 3 else {}
        return encode_lossy(
            lambda quality: bytes(
                jpeg8_encode(samples, round(quality), bitspersample=precision, **arguments)
            ),
            frame,
            options,
        )


class LosslessJpegCodec(ImageCodec):
    """Process 14: prediction and Huffman codes.

    Parameters
    ----------
    predictor : int
        Selection value with which to encode, from 1 to 7; any is decoded.
    """

    def __init__(self, predictor: int) -> None:
        self._predictor = predictor

    def _read(self, codestream: bytes) -> Header:
        frame = read_jpeg(codestream, frozenset({LOSSLESS}))
        if set(frame.sampling) - {0x11}:
            raise CodecError("components of a lossless codestream are subsampled")
        header = frame.header
        _check_length(codestream, header.rows * header.columns * header.components)
        return header

    def _decoded(self, codestream: bytes, frame: FrameFormat) -> Samples:
        if frame.samples_per_pixel == 1:
            return jpeg8_decode(codestream)
        return jpeg8_decode(codestream, colorspace=_AS_IS, outcolorspace=_AS_IS)

    def _as_encoded(self, frame: FrameFormat, options: EncodeOptions) -> FrameFormat:
        return frame

    def _encoded(
        self, samples: Samples, precision: int, frame: FrameFormat, options: EncodeOptions
    ) -> bytes:
        colour: dict[str, Any] = {"colorspace": _AS_IS, "outcolorspace": _AS_IS}
        precision = max(precision, 2)
        return bytes(
            jpeg8_encode(
                patterns(samples, precision),
                lossless=True,
                predictor=self._predictor,
                bitspersample=precision,
                **(colour if frame.samples_per_pixel == 3 else {}),
            )
        )
