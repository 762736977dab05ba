"""JPEG XL (PS3.5 §8.2.15), with libjxl."""

from typing import Final

from attrs import evolve
from imagecodecs import jpegxl_decode, jpegxl_encode

from pacs_codec_imagecodecs.base import GREY, Codestream, ImageCodec, refuse
from pacs_codec_imagecodecs.jxl_header import JxlHeader, read_jxl
from pacs_codec_imagecodecs.rate import encode_lossy, is_best
from pacs_codec_imagecodecs.samples import Samples, patterns
from pacs_core.contracts import CodecError, EncodeOptions, FrameFormat

_LOSSLESS_EFFORT: Final = 2
"""Ten times as fast as the library's default, and a tenth larger.

Effort 1 is another encoder, four times as fast again, whose codestreams hold other pixels for some
images of runs, speckle and colours (libjxl issues 2281 and 4026; still so in 0.11.2).
"""


class JpegXlCodec(ImageCodec[JxlHeader]):
    """JPEG XL from native frames.

    Parameters
    ----------
    is_lossless : bool
        Whether the transfer syntax allows lossless codestreams only. Otherwise a quality of 100
        is lossless as well.
    """

    def __init__(self, is_lossless: bool) -> None:
        self._is_lossless = is_lossless

    def _read(self, codestream: bytes) -> Codestream[JxlHeader]:
        header = read_jxl(codestream)
        return Codestream(codestream, header.image, header)

    def _decode_samples(self, codestream: Codestream[JxlHeader], frame: FrameFormat) -> Samples:
        return jpegxl_decode(codestream.data, numthreads=1)

    def _yields_rgb(self, codestream: Codestream[JxlHeader], photometric: str) -> bool:
        return photometric == "XYB"

    def _loses_nothing(self, options: EncodeOptions) -> bool:
        return self._is_lossless or is_best(options)

    def _target_format(self, frame: FrameFormat, options: EncodeOptions) -> FrameFormat:
        """Lossy colours become XYB. Signed samples would be torn at zero by a loss."""
        name = frame.photometric_interpretation
        if self._loses_nothing(options):
            return frame
        if frame.is_signed or name not in {*GREY, "RGB"}:
            raise refuse(frame, "lossy JPEG XL")
        return evolve(frame, photometric_interpretation="XYB" if name == "RGB" else name)

    def _encode_samples(
        self, samples: Samples, precision: int, frame: FrameFormat, options: EncodeOptions
    ) -> bytes:
        pixels = patterns(samples, precision)
        if self._loses_nothing(options):
            return _encode(pixels, precision, None)
        if precision != frame.bits_stored:
            raise CodecError(f"samples exceed their {frame.bits_stored} bits stored")
        return encode_lossy(
            lambda quality: _encode(pixels, precision, _distance(quality)), frame, options
        )


def _encode(pixels: Samples, precision: int, distance: float | None) -> bytes:
    return bytes(
        jpegxl_encode(
            pixels,
            distance=distance,
            effort=_LOSSLESS_EFFORT if distance is None else None,
            lossless=distance is None,
            bitspersample=precision,
            usecontainer=False,
            numthreads=1,
        )
    )


def _distance(quality: float) -> float:
    """Return the Butteraugli distance, as the library's own tools understand quality."""
    if quality >= 30:
        return 0.1 + (100 - quality) * 0.09
    return 53 / 3000 * quality**2 - 23 / 20 * quality + 25
