"""JPEG-LS, lossless and near-lossless (PS3.5 §8.2.3), with CharLS."""

from contextlib import suppress
from typing import Final

from imagecodecs import JpeglsError, jpegls_decode, jpegls_encode

from pacs_codec_imagecodecs.base import GREY, Codestream, ImageCodec, refuse
from pacs_codec_imagecodecs.rate import encode_lossy
from pacs_codec_imagecodecs.samples import Samples
from pacs_core.api.images import JPEG_LS, JpegHeader, ended_jpegs, read_jpeg
from pacs_core.contracts import CodecError, EncodeOptions, FrameFormat

_MAX_NEAR: Final = 255


class JpegLsCodec(ImageCodec[JpegHeader]):
    """Codestreams are written with the precision of Bits Allocated: the library offers no other.

    So signed samples keep their sign extension, and decoders which know nothing of signs return
    them right.

    Parameters
    ----------
    is_lossless : bool
        Whether the transfer syntax has no near-lossless codestreams.
    """

    def __init__(self, is_lossless: bool) -> None:
        self._is_lossless = is_lossless

    def _read(self, codestream: bytes) -> Codestream[JpegHeader]:
        header = read_jpeg(codestream)
        if header.process != JPEG_LS:
            raise CodecError(f"frame marker FF{header.process:02X} is not of this transfer syntax")
        if header.is_subsampled:
            raise CodecError("components of a JPEG-LS codestream are subsampled")
        return Codestream(codestream, header.image, header)

    def _decode_samples(self, codestream: Codestream[JpegHeader], frame: FrameFormat) -> Samples:
        # Where a writer forgot the end of image, a zero byte before it is data or padding: only
        # decoding tells. The last guess is made without a net, so that its error is reported.
        *others, last = ended_jpegs(codestream.data, codestream.header)
        for possible in others:
            with suppress(JpeglsError):
                return jpegls_decode(possible)
        return jpegls_decode(last)

    def _target_format(self, frame: FrameFormat, options: EncodeOptions) -> FrameFormat:
        lossy = not self._is_lossless
        if lossy and frame.photometric_interpretation not in {*GREY, "RGB", "YBR_FULL"}:
            raise refuse(frame, "near-lossless JPEG-LS")
        return frame

    def _encode_samples(
        self, samples: Samples, precision: int, frame: FrameFormat, options: EncodeOptions
    ) -> bytes:
        if self._is_lossless:
            return _encode(samples, 0)
        if precision != frame.bits_stored:
            raise CodecError(f"samples exceed their {frame.bits_stored} bits stored")
        most = min(_MAX_NEAR, (1 << precision) // 8)
        return encode_lossy(
            lambda quality: _encode(
                *_clip_within(samples, precision, (100 - quality) * most / 100)
            ),
            frame,
            options,
        )


def _encode(samples: Samples, near: int) -> bytes:
    return bytes(jpegls_encode(samples.view(f"<u{samples.itemsize}"), near))


def _clip_within(samples: Samples, precision: int, error: float) -> tuple[Samples, int]:
    """Return samples so far from both ends that the error takes none beyond Bits Stored.

    At zero the decoder does that itself, and at the upper end of 8 or 16 bits.
    """
    near = round(error)
    signed = samples.dtype.kind == "i"
    if not near or (not signed and precision == 8 * samples.itemsize):
        return samples, near
    low, high = (
        (near - (1 << (precision - 1)), 1 << (precision - 1)) if signed else (0, 1 << precision)
    )
    return samples.clip(low, high - 1 - near), near
