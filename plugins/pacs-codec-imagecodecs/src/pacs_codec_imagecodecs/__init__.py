"""Codecs of pacs-core on imagecodecs: JPEG, JPEG-LS, JPEG 2000, HTJ2K, JPEG XL and RLE."""

from functools import partial
from importlib import import_module
from importlib.metadata import version
from typing import Final

from attrs import frozen

from pacs_core.contracts import Codec, CodecDescriptor, Setup
from pacs_core.plugins import hookimpl

__all__ = ["create", "pacs_codecs"]


@frozen
class _Codec:
    """How one transfer syntax is coded: a class of a module here, and what it is called with."""

    name: str
    syntax: str
    module: str
    arguments: tuple[object, ...]
    library: str
    bits: tuple[int, int]
    encodes: bool = True
    decodes: bool = True
    recompresses: frozenset[tuple[str, str]] = frozenset()


_ROOT: Final = "1.2.840.10008.1.2."
_TURBO, _CHARLS = "imagecodecs (libjpeg-turbo)", "imagecodecs (CharLS)"
_OPENJPEG, _OPENJPH = "imagecodecs (OpenJPEG)", "imagecodecs (OpenJPH)"
_PACKBITS: Final = "imagecodecs (PackBits)"
_JXL: Final = "imagecodecs (libjxl)"
_LOSSLESS, _LOSSY = (True,), (False,)
_JPEG, _JPEG_XL = _RECOMPRESSED = _ROOT + "4.50", _ROOT + "4.111"
_FASTER: Final = 10
_FAST: Final = frozenset({_TURBO, _OPENJPH, _PACKBITS})
"""Several times as fast as the default codecs; CharLS and OpenJPEG are the same in both."""

_ENTRIES: Final = (
    _Codec("jpeg-baseline", "4.50", "jpeg.LossyJpegCodec", ((8,),), _TURBO, (8, 8)),
    _Codec("jpeg-extended", "4.51", "jpeg.LossyJpegCodec", ((8, 12),), _TURBO, (8, 12)),
    # Retired, and decoded only: spectral selection, full progression.
    _Codec("jpeg-spectral", "4.53", "jpeg.LossyJpegCodec", ((8, 12),), _TURBO, (8, 12), False),
    _Codec("jpeg-progressive", "4.55", "jpeg.LossyJpegCodec", ((8, 12),), _TURBO, (8, 12), False),
    # Any predictor is allowed in Process 14; with this one, CT and MR became the smallest.
    _Codec("jpeg-lossless", "4.57", "jpeg.LosslessJpegCodec", (4,), _TURBO, (1, 16)),
    _Codec("jpeg-lossless-sv1", "4.70", "jpeg.LosslessJpegCodec", (1,), _TURBO, (1, 16)),
    _Codec("jpeg-ls", "4.80", "jpegls.JpegLsCodec", _LOSSLESS, _CHARLS, (2, 16)),
    _Codec("jpeg-ls-near", "4.81", "jpegls.JpegLsCodec", _LOSSY, _CHARLS, (2, 16)),
    _Codec("jpeg2000-lossless", "4.90", "jpeg2000.Jpeg2000Codec", _LOSSLESS, _OPENJPEG, (1, 16)),
    _Codec("jpeg2000", "4.91", "jpeg2000.Jpeg2000Codec", _LOSSY, _OPENJPEG, (1, 16)),
    _Codec("htj2k-lossless", "4.201", "htj2k.Htj2kCodec", _LOSSLESS, _OPENJPH, (1, 16)),
    _Codec("htj2k-lossless-rpcl", "4.202", "htj2k.Htj2kCodec", _LOSSLESS, _OPENJPH, (1, 16)),
    _Codec("htj2k", "4.203", "htj2k.Htj2kCodec", _LOSSY, _OPENJPH, (1, 16)),
    _Codec("jpegxl-lossless", "4.110", "jpegxl.JpegXlCodec", _LOSSLESS, _JXL, (1, 16)),
    # It holds what was a JPEG before; a native frame never was.
    _Codec(
        "jpegxl-jpeg",
        "4.111",
        "recompression.RecompressedJpegCodec",
        _RECOMPRESSED,
        _JXL,
        (8, 8),
        encodes=False,
        recompresses=frozenset({(_JPEG, _JPEG_XL), (_JPEG_XL, _JPEG)}),
    ),
    _Codec("jpegxl", "4.112", "jpegxl.JpegXlCodec", _LOSSY, _JXL, (1, 16)),
    # Its decoder of RLE crashes on damaged frames, and is hardly faster than others. It encodes 32
    # bits, which an RLE image has not (PS3.5 Table 8.2.2-1).
    _Codec("rle", "5", "run_length.RunLengthEncoder", (), _PACKBITS, (1, 16), decodes=False),
)


def create(path: str, *arguments: object) -> Codec:
    """Make a codec, and import its library only now: in the process that uses it.

    Parameters
    ----------
    path : str
        ``module.Class`` within this package.
    arguments
        Of the class.
    """
    module, _, name = path.partition(".")
    codec: Codec = getattr(import_module(f"{__name__}.{module}"), name)(*arguments)
    return codec


@hookimpl
def pacs_codecs(setup: Setup) -> list[CodecDescriptor]:
    """Return a codec for each transfer syntax."""
    release = version("imagecodecs")  # reads a file
    return [_descriptor(entry, release) for entry in _ENTRIES]


def _descriptor(entry: _Codec, release: str) -> CodecDescriptor:
    syntaxes = frozenset({_ROOT + entry.syntax})
    return CodecDescriptor(
        f"imagecodecs-{entry.name}",
        decodes=syntaxes if entry.decodes else frozenset(),
        encodes=syntaxes if entry.encodes else frozenset(),
        create=partial(create, entry.module, *entry.arguments),
        library=entry.library,
        version=release,
        licence="BSD-3-Clause",
        bits=entry.bits,
        preference=_FASTER if entry.library in _FAST else 0,
        recompresses=entry.recompresses,
    )
