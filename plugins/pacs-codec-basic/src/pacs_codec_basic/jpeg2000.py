"""JPEG 2000 and High-Throughput JPEG 2000 (PS3.5 §A.4.4, §A.4.12)."""

from io import BytesIO
from typing import Final

import _openjpeg
from attrs import evolve, frozen
from openjpeg.utils import DECODING_ERRORS, encode_buffer

from pacs_codec_basic import narrow
from pacs_codec_basic.checks import (
    library_errors,
    require_data,
    require_format,
    require_match,
)
from pacs_codec_basic.choices import require_lossy_format, require_options
from pacs_codec_basic.samples import pack, precision_of, to_native, view, width_of
from pacs_core.api.images import CodestreamImage, bare_j2k, read_j2k
from pacs_core.contracts import (
    Codec,
    CodecError,
    DecodedFrame,
    EncodedFrame,
    EncodeOptions,
    FrameFormat,
)

_ALLOCATED: Final = (8, 16, 32)
MAX_PRECISION: Final = 24
"""More is beyond what the library encodes."""
_CODESTREAM: Final = 0
_SRGB: Final = 1
_TRANSFORMED: Final = frozenset({"YBR_RCT", "YBR_ICT"})
_WORST_PSNR, _BEST_PSNR = 30.0, 60.0


@frozen
class _Loss:
    """What the library is told of lossy compression; nothing if there is none."""

    ratios: tuple[float, ...] = ()
    noise: tuple[float, ...] = ()


class OpenJpegCodec(Codec):
    """JPEG 2000 by OpenJPEG.

    Parameters
    ----------
    lossy : bool
        Whether options may cost information; the transfer syntax is .91.
    """

    def __init__(self, *, lossy: bool) -> None:
        self._lossy = lossy

    def decode(self, codestream: bytes, frame: FrameFormat) -> DecodedFrame:
        """Decode a codestream; what the dataset says of its bits gives way to what it says itself.

        Raises
        ------
        CodecError
            It is broken, or is not what the dataset says.
        """
        require_format(frame, _ALLOCATED)
        codestream = bare_j2k(codestream)
        header = read_j2k(codestream)
        image = header.image
        require_match(image, frame)
        samples = _decode(codestream, image)
        data = to_native(samples, frame, image.precision, extended=image.is_signed)
        if header.transforms_components or frame.photometric_interpretation in _TRANSFORMED:
            frame = evolve(frame, photometric_interpretation="RGB")
        return DecodedFrame(data, frame)

    def encode(self, data: bytes, frame: FrameFormat, options: EncodeOptions) -> EncodedFrame:
        """Encode a frame, reversibly unless options ask for less.

        RGB is transformed: YBR_RCT if reversibly, YBR_ICT if not. It stays RGB if it is signed, or
        32 bits are allocated. Images with a side below 32 are always encoded reversibly, and their
        RGB is not transformed.

        Raises
        ------
        CodecError
            The data is not a frame of this format, or JPEG 2000 cannot hold it.
        """
        require_format(frame, _ALLOCATED)
        require_data(data, frame)
        loss = _loss(options) if self._lossy else _Loss()
        if self._lossy:
            require_lossy_format(frame)
        precision = precision_of(data, frame)
        if precision > MAX_PRECISION:
            raise CodecError(f"samples of {precision} bits; at most {MAX_PRECISION} are encoded")
        samples = pack(data, frame, precision)
        if min(frame.rows, frame.columns) < narrow.MIN_SIDE:
            return EncodedFrame(_encode_narrow(samples, frame, precision), frame)
        codestream = _encode(samples, frame, precision, loss)
        if _is_transformed(frame):
            # The names tell which of the two transforms was used (PS3.3 C.7.6.3.1.2).
            name = "YBR_RCT" if loss == _Loss() else "YBR_ICT"
            frame = evolve(frame, photometric_interpretation=name)
        return EncodedFrame(codestream, frame)


def _decode(codestream: bytes, image: CodestreamImage) -> bytes:
    with library_errors("decode the JPEG 2000 codestream"):
        fault, samples = _openjpeg.decode(BytesIO(codestream), _CODESTREAM, as_array=False)
    if fault:
        reason = DECODING_ERRORS.get(fault, f"error {fault}")
        raise CodecError(f"cannot decode the JPEG 2000 codestream: {reason}")
    size = image.rows * image.columns * image.components * width_of(image.precision)
    if len(samples) != size:
        raise CodecError(f"the codestream holds {len(samples)} bytes, not {size}")
    return bytes(samples)


def _encode(samples: bytes, frame: FrameFormat, precision: int, loss: _Loss) -> bytes:
    with library_errors("encode the frame with JPEG 2000"):
        codestream = encode_buffer(
            samples,
            frame.columns,
            frame.rows,
            frame.samples_per_pixel,
            precision,
            frame.is_signed,
            photometric_interpretation=_SRGB if _is_transformed(frame) else 0,
            compression_ratios=list(loss.ratios),
            signal_noise_ratios=list(loss.noise),
        )
    return _pad_to_even(bytes(codestream))


def _encode_narrow(samples: bytes, frame: FrameFormat, precision: int) -> bytes:
    rows, columns, components = frame.rows, frame.columns, frame.samples_per_pixel
    times = narrow.doublings(rows, columns)
    image = view(samples, width_of(precision), is_signed=frame.is_signed)
    wide = narrow.double(image.reshape(rows, columns, components), times)
    with library_errors("encode the frame with JPEG 2000"):
        codestream = encode_buffer(
            wide.tobytes(),
            columns << times,
            rows << times,
            components,
            precision,
            frame.is_signed,
            add_plt=True,
        )
        return _pad_to_even(narrow.cut(bytes(codestream), rows, columns, components))


def _is_transformed(frame: FrameFormat) -> bool:
    """Whether colours are: if they are unsigned (PS3.5 §8.2.4), and the sums of samples fit."""
    is_rgb = frame.photometric_interpretation == "RGB" and frame.samples_per_pixel == 3
    return is_rgb and not frame.is_signed and frame.bits_allocated <= 16


def _loss(options: EncodeOptions) -> _Loss:
    """Return the ratio that is asked for, or else quality as a signal to noise ratio in dB."""
    require_options(options)
    if options.ratio is not None:
        return _Loss(ratios=(options.ratio,))
    if options.quality is not None:
        span = _BEST_PSNR - _WORST_PSNR
        return _Loss(noise=(_WORST_PSNR + span * options.quality / 100,))
    return _Loss()


def _pad_to_even(codestream: bytes) -> bytes:
    return codestream + bytes(len(codestream) % 2)
