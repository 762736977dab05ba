"""High-Throughput JPEG 2000 (PS3.5 §8.2.14 and §10.18), with OpenJPH.

The library writes 8 or 16 bits of precision. To have Bits Stored in the codestream, its header is
corrected afterwards: the samples of the codestream are those of fewer bits, and so is its header.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from imagecodecs import htj2k_decode, htj2k_encode, jpeg2k_decode

from pacs_codec_imagecodecs.base import Codestream
from pacs_codec_imagecodecs.jpeg2000 import WaveletCodec, decibels
from pacs_codec_imagecodecs.samples import Samples, narrow
from pacs_core.api.images import QCD, J2kHeader, read_j2k
from pacs_core.contracts import CodecError, FrameFormat

_THUMBNAIL: Final = 64
"""PS3.5 §10.18: RPCL codestreams have a resolution that is no larger."""
_FEWEST: Final = 5


class Htj2kCodec(WaveletCodec):
    """HTJ2K; what is written also fulfils the RPCL options.

    Resolution by resolution (RPCL), which is the library's default, tile-part lengths in the main
    header (TLM), and as many decompositions as a thumbnail needs.
    """

    def _decode_samples(self, codestream: Codestream[J2kHeader], frame: FrameFormat) -> Samples:
        if not codestream.header.is_reversible:
            # OpenJPH lets what it rounds up from white overflow: it comes out black.
            return jpeg2k_decode(codestream.data)
        with _raise_reported_errors():
            return htj2k_decode(codestream.data, planar=False)

    def _encode_reversibly(self, samples: Samples, precision: int, frame: FrameFormat) -> bytes:
        return _encode(samples, precision, frame, step=None)

    def _encode_irreversibly(
        self, samples: Samples, precision: int, frame: FrameFormat, quality: float
    ) -> bytes:
        """Quality has about the signal-to-noise ratio that it has in JPEG 2000."""
        return _encode(samples, precision, frame, step=2 * 10 ** (-decibels(quality) / 20))


@contextmanager
def _raise_reported_errors() -> Iterator[None]:
    """Raise what the library reports as unraisable: it returns a frame that is filled in part."""
    reported: list[object] = []
    before = sys.unraisablehook, sys.excepthook
    sys.unraisablehook, sys.excepthook = reported.append, lambda *error: None
    try:
        yield
    finally:
        sys.unraisablehook, sys.excepthook = before
    if reported:
        raise CodecError("the codestream is damaged: the library stopped amid the frame")


def _encode(samples: Samples, precision: int, frame: FrameFormat, *, step: float | None) -> bytes:
    samples = narrow(samples, precision)
    spare = 8 * samples.itemsize - precision
    if spare and samples.dtype.kind == "u":
        # The encoder subtracts half the range of its precision, the decoder adds that of ours.
        samples = samples + samples.dtype.type(
            (1 << (precision + spare - 1)) - (1 << (precision - 1))
        )
    longest = max(frame.rows, frame.columns)
    codestream = htj2k_encode(
        samples,
        None if step is None else step / 2**spare,
        rgb=frame.photometric_interpretation == "RGB",
        planar=False,
        resolutions=max(_FEWEST, (-(-longest // _THUMBNAIL) - 1).bit_length()),
        reversible=step is None,
        tlm=True,
    )
    return _correct_precision(bytes(codestream), spare, irreversible=step is not None)


def _correct_precision(codestream: bytes, spare: int, *, irreversible: bool) -> bytes:
    """Return a codestream whose samples have `spare` fewer bits, and the same coefficients.

    Precisions in SIZ (ISO/IEC 15444-1 A.5.1) become smaller. Steps of irreversible wavelets are
    relative to the range of the samples (E.1.1): exponents in QCD become smaller as well, and
    guard bits more, so that there are as many bit planes as before.
    """
    if not spare:
        return codestream
    header = read_j2k(codestream)
    patched = bytearray(codestream)
    for at in range(header.siz, header.siz + 3 * header.image.components, 3):
        patched[at] -= spare
    if irreversible:
        for content, start in header.find(QCD):
            # Sqcd has the guard bits in its upper 3 bits, each SPqcd the exponent in its upper 5.
            exponents = range(start + 1, start + len(content), 2)
            fewest = min(patched[at] for at in exponents) >> 3
            if patched[start] >> 5 > 7 - spare or fewest < spare:
                raise CodecError("the quantization steps cannot be expressed at this precision")
            patched[start] += spare << 5
            for at in exponents:
                patched[at] -= spare << 3
    return bytes(patched)
