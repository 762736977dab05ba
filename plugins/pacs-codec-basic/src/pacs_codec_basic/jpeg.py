"""JPEG with Huffman coding: baseline, extended and lossless (PS3.5 §A.4.1); an optional extra."""

from typing import Final

import _libjpeg
from attrs import evolve

from pacs_codec_basic.checks import library_errors, require_format, require_match
from pacs_codec_basic.samples import to_native, width_of
from pacs_core.api.images import (
    JPEG_BASELINE,
    JPEG_EXTENDED,
    JPEG_LOSSLESS,
    JPEG_PROGRESSIVE,
    JpegHeader,
    is_ycbcr,
    read_jpeg,
)
from pacs_core.contracts import (
    Codec,
    CodecError,
    DecodedFrame,
    EncodedFrame,
    EncodeOptions,
    FrameFormat,
)

_LOSSY: Final = frozenset({JPEG_BASELINE, JPEG_EXTENDED, JPEG_PROGRESSIVE})
_ALLOCATED: Final = (8, 16)
_AS_THEY_ARE, _FROM_YCBCR = 0, 1
_SUCCESS: Final = "0"


class JpegCodec(Codec):
    """JPEG by libjpeg of Thomas Richter (GPL), which decodes only."""

    def decode(self, codestream: bytes, frame: FrameFormat) -> DecodedFrame:
        """Decode a codestream; the YCbCr of lossy ones becomes RGB.

        Raises
        ------
        CodecError
            It is broken, or is not what the dataset says.
        """
        require_format(frame, _ALLOCATED)
        header = read_jpeg(codestream)
        if header.process != JPEG_LOSSLESS and header.process not in _LOSSY:
            raise CodecError(f"JPEG process 0x{header.process:02X} is not decoded")
        require_match(header.image, frame)
        if not header.is_whole:  # the library would make the rest up
            raise CodecError("the JPEG codestream is cut off: it has no end of image")
        samples = _decode(codestream[: header.end], header, frame)
        data = to_native(samples, frame, header.image.precision)
        if frame.samples_per_pixel > 1 and header.process in _LOSSY:
            frame = evolve(frame, photometric_interpretation="RGB")
        return DecodedFrame(data, frame)

    def encode(self, data: bytes, frame: FrameFormat, options: EncodeOptions) -> EncodedFrame:
        """Refuse: the library does not encode.

        Raises
        ------
        CodecError
            Always.
        """
        raise CodecError("this library does not encode JPEG")


def _decode(codestream: bytes, header: JpegHeader, frame: FrameFormat) -> bytes:
    image = header.image
    is_lossy_colour = header.process in _LOSSY and image.components == 3
    transform = _FROM_YCBCR if is_lossy_colour and is_ycbcr(header, frame) else _AS_THEY_ARE
    with library_errors("decode the JPEG codestream"):
        status, samples, found = _libjpeg.decode(codestream, transform, as_array=False)
        code, _, message = status.decode("utf-8", "replace").partition("::::")
    if code != _SUCCESS:
        raise CodecError(f"cannot decode the JPEG codestream: {message or code}")
    size = image.rows * image.columns * image.components * width_of(image.precision)
    if len(samples) != size:
        raise CodecError(f"the JPEG codestream contradicts itself: {found}")
    return bytes(samples)
