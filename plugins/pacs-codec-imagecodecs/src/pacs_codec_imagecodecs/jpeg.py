"""JPEG: baseline, extended and lossless (PS3.5 §8.2.1), with libjpeg-turbo."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import numpy as np
from attrs import evolve
from imagecodecs import jpeg8_decode, jpeg8_encode

from pacs_codec_imagecodecs.base import GREY, Codestream, ImageCodec, refuse
from pacs_codec_imagecodecs.rate import encode_lossy
from pacs_codec_imagecodecs.samples import Samples, patterns
from pacs_core.api.images import (
    EOI,
    JPEG_BASELINE,
    JPEG_EXTENDED,
    JPEG_LOSSLESS,
    JPEG_PROGRESSIVE,
    JpegHeader,
    is_ycbcr,
    read_jpeg,
)
from pacs_core.contracts import CodecError, EncodeOptions, FrameFormat

YBR: Final = frozenset({"YBR_FULL", "YBR_FULL_422"})
_LOSSY: Final = frozenset({JPEG_BASELINE, JPEG_EXTENDED, JPEG_PROGRESSIVE})
_MAX_SCANS: Final = 256
"""Each scan of a progressive codestream goes over the whole image; encoders make about ten."""
_TAILS: Final = (bytes(64), b"\xaa" * 64)
_BLOCK, _BITS_PER_BLOCK = 8, 2
_AS_IS: Final = "RGB"
"""Equal spaces on both sides: components are not transformed, whatever they are."""


def _check_length(codestream: bytes, bits: int) -> None:
    """Refuse what is too short for its pixels: the library would fill the frame up with grey."""
    if 8 * len(codestream) < bits:
        raise CodecError(
            f"{len(codestream)} bytes cannot hold this frame, which takes at least {bits // 8}"
        )


def _read(codestream: bytes, processes: frozenset[int]) -> Codestream[JpegHeader]:
    header = read_jpeg(codestream)
    if header.process not in processes:
        raise CodecError(f"frame marker FF{header.process:02X} is not of this transfer syntax")
    if header.scans > _MAX_SCANS:
        raise CodecError(f"{header.scans} scans; at most {_MAX_SCANS} are decoded")
    return Codestream(codestream[: header.end], header.image, header)


def read_lossy_jpeg(codestream: bytes, processes: frozenset[int]) -> Codestream[JpegHeader]:
    """Look at a codestream of the DCT.

    Raises
    ------
    CodecError
        It is damaged, of another process, or too short for its pixels.
    """
    read = _read(codestream, processes)
    blocks = -(-read.image.rows // _BLOCK) * -(-read.image.columns // _BLOCK)
    # All coefficients of a progressive codestream may be in runs of bands without any.
    bits = 0 if read.header.process == JPEG_PROGRESSIVE else _BITS_PER_BLOCK
    _check_length(read.data, bits * blocks)
    return read


def _decode_whole(
    codestream: Codestream[JpegHeader], decode: Callable[[bytes], Samples]
) -> Samples:
    """Decode a codestream; one without EOI only if all samples are there.

    The library would make up those that are missing of what comes after the last scan. So they are
    all there if it makes no difference what does.

    Raises
    ------
    CodecError
        It was cut off.
    """
    if codestream.header.is_whole:
        return decode(codestream.data)
    samples, others = (decode(codestream.data + tail + EOI) for tail in _TAILS)
    if not np.array_equal(samples, others):
        raise CodecError("the JPEG codestream was cut off: it has no end of image (EOI)")
    return samples


class LossyJpegCodec(ImageCodec[JpegHeader]):
    """DCT with Huffman coding, 8 or 12 bit: encoded sequentially, decoded progressively as well.

    Processes 1, 2 and 4, and of the retired ones 6, 8, 10 and 12 (PS3.5 §A.4.1).

    Parameters
    ----------
    precisions : tuple of int
        Sample precisions that the transfer syntax allows.
    """

    def __init__(self, precisions: tuple[int, ...]) -> None:
        self._precisions = precisions

    def _read(self, codestream: bytes) -> Codestream[JpegHeader]:
        read = read_lossy_jpeg(codestream, _LOSSY)
        if read.image.precision not in self._precisions:
            raise CodecError(f"samples of {read.image.precision} bits, not of {self._precisions}")
        return read

    def _decode_samples(self, codestream: Codestream[JpegHeader], frame: FrameFormat) -> Samples:
        if frame.samples_per_pixel == 1:
            return _decode_whole(codestream, jpeg8_decode)
        space = "YCBCR" if is_ycbcr(codestream.header, frame) else _AS_IS
        return _decode_whole(
            codestream, partial(jpeg8_decode, colorspace=space, outcolorspace="RGB")
        )

    def _yields_rgb(self, codestream: Codestream[JpegHeader], photometric: str) -> bool:
        return photometric in YBR

    def _target_format(self, frame: FrameFormat, options: EncodeOptions) -> FrameFormat:
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

    def _encode_samples(
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


class LosslessJpegCodec(ImageCodec[JpegHeader]):
    """Process 14: prediction and Huffman codes.

    Parameters
    ----------
    predictor : int
        Selection value with which to encode, from 1 to 7; any is decoded.
    """

    def __init__(self, predictor: int) -> None:
        self._predictor = predictor

    def _read(self, codestream: bytes) -> Codestream[JpegHeader]:
        read = _read(codestream, frozenset({JPEG_LOSSLESS}))
        if read.header.is_subsampled:
            raise CodecError("components of a lossless codestream are subsampled")
        image = read.image
        _check_length(read.data, image.rows * image.columns * image.components)
        return read

    def _decode_samples(self, codestream: Codestream[JpegHeader], frame: FrameFormat) -> Samples:
        if frame.samples_per_pixel == 1:
            return _decode_whole(codestream, jpeg8_decode)
        return _decode_whole(
            codestream, partial(jpeg8_decode, colorspace=_AS_IS, outcolorspace=_AS_IS)
        )

    def _target_format(self, frame: FrameFormat, options: EncodeOptions) -> FrameFormat:
        return frame

    def _encode_samples(
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
