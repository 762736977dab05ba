"""JPEG-LS, lossless and near-lossless (PS3.5 §A.4.3)."""

from bisect import bisect_left
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import _CharLS

from pacs_codec_basic.checks import (
    library_errors,
    require_data,
    require_format,
    require_match,
)
from pacs_codec_basic.choices import require_lossy_format, require_options
from pacs_codec_basic.samples import interleave, pack, precision_of, to_native, width_of
from pacs_core.api.images import JPEG_LS, ended_jpegs, read_jpeg
from pacs_core.contracts import (
    Codec,
    CodecError,
    DecodedFrame,
    EncodedFrame,
    EncodeOptions,
    FrameFormat,
)

_ALLOCATED: Final = (8, 16)
_MIN_PRECISION: Final = 2
_BY_PLANE, _BY_PIXEL = 0, 2
_SPARE: Final = 512
"""Bytes that headers may take."""
_STEPS_PER_RANGE: Final = 64
"""With a quality of 0, samples are off by a 64th of their range at most."""
_MAX_NEAR: Final = 255


class CharLsCodec(Codec):
    """JPEG-LS by CharLS.

    Parameters
    ----------
    lossy : bool
        Whether options may cost information; the transfer syntax is .81.
    """

    def __init__(self, *, lossy: bool) -> None:
        self._lossy = lossy

    def decode(self, codestream: bytes, frame: FrameFormat) -> DecodedFrame:
        """Decode a codestream; it does not know of signs, which the dataset tells.

        Raises
        ------
        CodecError
            It is broken, or is not what the dataset says.
        """
        require_format(frame, _ALLOCATED)
        header = read_jpeg(codestream)
        if header.process != JPEG_LS:
            raise CodecError(f"a JPEG codestream of process 0x{header.process:02X}, not JPEG-LS")
        require_match(header.image, frame)
        precision = header.image.precision
        samples = _decode_first(ended_jpegs(codestream, header), frame, precision)
        return DecodedFrame(to_native(samples, frame, precision), frame)

    def encode(self, data: bytes, frame: FrameFormat, options: EncodeOptions) -> EncodedFrame:
        """Encode a frame, without loss unless options ask for less; colours are not transformed.

        Negative samples are far from 0 to JPEG-LS, which takes them for large ones: an error
        there could turn the least into the greatest. So signed frames are encoded without loss.

        Raises
        ------
        CodecError
            The data is not a frame of this format, or JPEG-LS cannot hold it.
        """
        require_format(frame, _ALLOCATED)
        require_data(data, frame)
        if self._lossy:
            require_lossy_format(frame)
            require_options(options)
        precision = max(_MIN_PRECISION, precision_of(data, frame))
        samples = pack(data, frame, precision, masked=True)
        if not self._lossy or frame.is_signed:
            options = EncodeOptions()
        if options.ratio is not None:  # counts more than a quality
            codestream = _encode_within(samples, frame, precision, frame.size / options.ratio)
        else:
            near = 0 if options.quality is None else near_of(options.quality, precision)
            codestream = _encode(samples, frame, precision, near)
        return EncodedFrame(codestream, frame)


def near_of(quality: float, precision: int) -> int:
    """Return by how much samples may be off: 0 for a quality of 100, the more the worse it is."""
    widest = (1 << precision) / _STEPS_PER_RANGE
    return min(round(widest * (100 - quality) / 100), _max_near(precision))


def _max_near(precision: int) -> int:
    """Return the largest NEAR that there is (ISO/IEC 14495-1 §C.2.3)."""
    return min(_MAX_NEAR, ((1 << precision) - 1) // 2)


def _encode_within(samples: bytes, frame: FrameFormat, precision: int, size: float) -> bytes:
    """Return the codestream with the least error that is no larger than `size`, or the smallest."""
    worst = _max_near(precision)

    def fits(near: int) -> bool:
        return len(_encode(samples, frame, precision, near)) <= size

    near = bisect_left(range(worst), True, key=fits)
    return _encode(samples, frame, precision, near)


def _encode(samples: bytes, frame: FrameFormat, precision: int, near: int) -> bytes:
    """Encode; the library makes room for twice what it is given, which noise may exceed."""
    arguments = (frame.rows, frame.columns, frame.samples_per_pixel, precision)
    interleaving = _BY_PIXEL if frame.samples_per_pixel > 1 else _BY_PLANE
    with library_errors("encode the frame with JPEG-LS"):
        try:
            codestream = _CharLS._encode(samples + bytes(_SPARE), near, interleaving, *arguments)
        except RuntimeError:
            roomy = samples + bytes(2 * len(samples) + _SPARE)
            codestream = _CharLS._encode(roomy, near, interleaving, *arguments)
    return bytes(codestream) + bytes(len(codestream) % 2)


def _decode_first(
    codestreams: Sequence[bytes], frame: FrameFormat, precision: int
) -> bytes | bytearray:
    """Decode the first codestream that can be. Each has an end: the library would search for it."""
    *others, last = codestreams
    for codestream in others:
        with suppress(CodecError):
            return _decode(codestream, frame, precision)
    return _decode(last, frame, precision)


def _decode(codestream: bytes, frame: FrameFormat, precision: int) -> bytes | bytearray:
    """Return samples by pixel, in the narrowest container."""
    expected = (frame.rows, frame.columns, frame.samples_per_pixel, precision)
    with library_errors("decode the JPEG-LS codestream"):
        found = _CharLS.read_header(codestream)
        names = ("height", "width", "components", "bits_per_sample")
        if tuple(found[name] for name in names) != expected:
            raise CodecError(f"the JPEG-LS codestream contradicts itself: {found}")
        samples: bytearray = _CharLS.decode_from_buffer(codestream)
    if len(samples) != frame.rows * frame.columns * frame.samples_per_pixel * width_of(precision):
        raise CodecError(f"the JPEG-LS codestream holds {len(samples)} bytes")
    if frame.samples_per_pixel > 1 and found["interleave_mode"] == _BY_PLANE:
        return interleave(samples, frame.samples_per_pixel, width_of(precision))
    return samples
