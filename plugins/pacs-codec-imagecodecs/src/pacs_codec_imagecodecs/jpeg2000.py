"""JPEG 2000 (PS3.5 §8.2.4), with OpenJPEG."""

from abc import abstractmethod
from typing import Any, Final

from attrs import evolve
from imagecodecs import jpeg2k_decode, jpeg2k_encode

from pacs_codec_imagecodecs.base import GREY, Codestream, ImageCodec, refuse
from pacs_codec_imagecodecs.rate import encode_lossy, is_best
from pacs_codec_imagecodecs.samples import Samples, narrow
from pacs_core.api.images import J2kHeader, bare_j2k, read_j2k
from pacs_core.contracts import CodecError, EncodeOptions, FrameFormat

_TRANSFORMS: Final = {True: "YBR_RCT", False: "YBR_ICT"}
"""What becomes of RGB, by whether the wavelet is reversible."""


class WaveletCodec(ImageCodec[J2kHeader]):
    """What JPEG 2000 and High-Throughput JPEG 2000 have in common.

    Parameters
    ----------
    is_lossless : bool
        Whether the transfer syntax allows reversible wavelets only. Otherwise a quality of 100
        is reversible as well.
    """

    def __init__(self, is_lossless: bool) -> None:
        self._is_lossless = is_lossless

    def _read(self, codestream: bytes) -> Codestream[J2kHeader]:
        data = bare_j2k(codestream)
        header = read_j2k(data)
        return Codestream(data, header.image, header)

    def _yields_rgb(self, codestream: Codestream[J2kHeader], photometric: str) -> bool:
        return codestream.header.transforms_components or photometric in _TRANSFORMS.values()

    def _target_format(self, frame: FrameFormat, options: EncodeOptions) -> FrameFormat:
        name = frame.photometric_interpretation
        reversible = self._is_reversible(options)
        if not reversible and name not in {*GREY, "RGB", "YBR_FULL"}:
            raise refuse(frame, "irreversible JPEG 2000")
        name = _TRANSFORMS[reversible] if name == "RGB" else name
        return evolve(frame, photometric_interpretation=name)

    def _is_reversible(self, options: EncodeOptions) -> bool:
        return self._is_lossless or is_best(options)

    def _encode_samples(
        self, samples: Samples, precision: int, frame: FrameFormat, options: EncodeOptions
    ) -> bytes:
        if self._is_reversible(options):
            return self._encode_reversibly(samples, precision, frame)
        if precision != frame.bits_stored:
            raise CodecError(f"samples exceed their {frame.bits_stored} bits stored")
        return encode_lossy(
            lambda quality: self._encode_irreversibly(samples, precision, frame, quality),
            frame,
            options,
        )

    @abstractmethod
    def _encode_reversibly(self, samples: Samples, precision: int, frame: FrameFormat) -> bytes:
        """Return a lossless codestream."""

    @abstractmethod
    def _encode_irreversibly(
        self, samples: Samples, precision: int, frame: FrameFormat, quality: float
    ) -> bytes:
        """Return a lossy codestream."""


def decibels(quality: float) -> float:
    """Return the peak signal-to-noise ratio that stands for a quality: from 25 to 60 dB."""
    return 25 + 0.35 * quality


class Jpeg2000Codec(WaveletCodec):
    """JPEG 2000 Part 1."""

    def _decode_samples(self, codestream: Codestream[J2kHeader], frame: FrameFormat) -> Samples:
        return jpeg2k_decode(codestream.data)

    def _encode_reversibly(self, samples: Samples, precision: int, frame: FrameFormat) -> bytes:
        return _encode(samples, precision, frame, reversible=True)

    def _encode_irreversibly(
        self, samples: Samples, precision: int, frame: FrameFormat, quality: float
    ) -> bytes:
        return _encode(samples, precision, frame, reversible=False, level=decibels(quality))


def _encode(
    samples: Samples, precision: int, frame: FrameFormat, *, reversible: bool, level: Any = 0
) -> bytes:
    return bytes(
        jpeg2k_encode(
            narrow(samples, precision),
            level,
            codecformat="j2k",
            bitspersample=precision,
            reversible=reversible,
            mct=frame.photometric_interpretation == "RGB",
            planar=False,
        )
    )
