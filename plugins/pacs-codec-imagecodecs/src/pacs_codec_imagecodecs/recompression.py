"""JPEG XL JPEG Recompression (PS3.5 §8.2.15): a JPEG within JPEG XL, bit by bit, with libjxl."""

from attrs import evolve
from imagecodecs import jpegxl_decode_jpeg, jpegxl_encode_jpeg

from pacs_codec_imagecodecs.base import GREY, call, refuse
from pacs_codec_imagecodecs.header import check_agreement
from pacs_codec_imagecodecs.jpeg import YBR, LossyJpegCodec, read_lossy_jpeg
from pacs_codec_imagecodecs.jpegxl import JpegXlCodec
from pacs_codec_imagecodecs.jxl_header import read_jxl
from pacs_core.api.images import JPEG_BASELINE
from pacs_core.contracts import (
    Codec,
    CodecError,
    DecodedFrame,
    EncodedFrame,
    EncodeOptions,
    FrameFormat,
)


class RecompressedJpegCodec(Codec):
    """The JPEG is restored as it was, and decoded; or one is made of it, and it of one.

    A native frame cannot become one: there is no JPEG in it.

    Parameters
    ----------
    jpeg, jpeg_xl : str
        UIDs of the transfer syntaxes JPEG Baseline and JPEG XL JPEG Recompression.
    """

    def __init__(self, jpeg: str, jpeg_xl: str) -> None:
        self._conversions = {jpeg: _restore, jpeg_xl: _recompress}

    def decode(self, codestream: bytes, frame: FrameFormat) -> DecodedFrame:
        """Return what the JPEG holds; without one, what the JPEG XL image holds, as RGB.

        Raises
        ------
        CodecError
            The codestream is broken, or is not what the dataset says.
        """
        header = read_jxl(codestream)
        if not header.holds_jpeg:
            decoded = JpegXlCodec(is_lossless=False).decode(codestream, frame)
            name = "RGB" if frame.samples_per_pixel == 3 else frame.photometric_interpretation
            return evolve(decoded, format=evolve(decoded.format, photometric_interpretation=name))
        check_agreement(header.image, frame)
        return LossyJpegCodec((8,)).decode(_jpeg_within(codestream), frame)

    def encode(self, data: bytes, frame: FrameFormat, options: EncodeOptions) -> EncodedFrame:
        """Refuse.

        Raises
        ------
        CodecError
            Always.
        """
        raise CodecError("only a JPEG can be recompressed, not a native frame; use JPEG XL")

    def recompress(self, codestream: bytes, frame: FrameFormat, target: str) -> EncodedFrame:
        """Return the JPEG XL codestream of a JPEG, or the very JPEG that it was made of.

        Photometric Interpretation remains, but for YBR_FULL, which Table 8.2.1-1 does not have:
        YBR_FULL_422 stands for all YCbCr of lossy JPEG, however it is sampled.

        Raises
        ------
        CodecError
            It is damaged, is not what the dataset says, holds no JPEG that could be restored, or
            one that is not of the baseline process.
        """
        way = self._conversions.get(target)
        if way is None:
            return super().recompress(codestream, frame, target)
        name = frame.photometric_interpretation
        bits = frame.bits_allocated, frame.bits_stored
        if name not in {*GREY, "RGB", *YBR} or frame.is_signed or bits != (8, 8):
            raise refuse(frame, "JPEG Baseline")
        name = "YBR_FULL_422" if name in YBR else name
        form = evolve(frame, photometric_interpretation=name, planar_configuration=0)
        return EncodedFrame(way(codestream, frame), form)


def _recompress(jpeg: bytes, frame: FrameFormat) -> bytes:
    _check_jpeg(jpeg, frame)
    codestream = call(lambda: bytes(jpegxl_encode_jpeg(jpeg, numthreads=1)))
    if not read_jxl(codestream).holds_jpeg or _jpeg_within(codestream) != jpeg:
        raise CodecError("the library did not keep this JPEG bit by bit")
    return codestream


def _restore(codestream: bytes, frame: FrameFormat) -> bytes:
    header = read_jxl(codestream)
    check_agreement(header.image, frame)
    if not header.holds_jpeg:
        raise CodecError(
            "the JPEG XL codestream lacks what it takes to restore a JPEG (a jbrd box); it can "
            "only be decoded"
        )
    jpeg = _jpeg_within(codestream)
    _check_jpeg(jpeg, frame)
    return jpeg


def _check_jpeg(jpeg: bytes, frame: FrameFormat) -> None:
    check_agreement(read_lossy_jpeg(jpeg, frozenset({JPEG_BASELINE})).image, frame)


def _jpeg_within(codestream: bytes) -> bytes:
    return call(lambda: bytes(jpegxl_decode_jpeg(codestream, numthreads=1)))
