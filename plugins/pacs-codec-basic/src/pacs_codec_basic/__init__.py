"""Codecs of pacs-core: small and permissive libraries for what archives meet most."""

import zlib
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Final

from attrs import frozen

from pacs_core.contracts import Codec, CodecDescriptor
from pacs_core.plugins import hookimpl

__all__ = ["create", "pacs_codecs"]

PACS_API_VERSION = (1, 0)
"""The plugin API that this was written for: a node that offers less does not load it."""

_JPEG: Final = "1.2.840.10008.1.2.4."


def create(path: str, **arguments: bool) -> Codec:
    """Make a codec, and import its library only now: in the process that uses it.

    Parameters
    ----------
    path : str
        ``module.Class`` within this package.
    arguments
        Of the class.
    """
    module, _, name = path.partition(".")
    codec: Codec = getattr(import_module(f"{__name__}.{module}"), name)(**arguments)
    return codec


@frozen
class _Library:
    """What does the work: a distribution, and the module to look for if it is no dependency."""

    name: str
    licence: str
    bits: tuple[int, int]
    module: str = ""

    @property
    def installed(self) -> bool:
        return not self.module or find_spec(self.module) is not None

    @property
    def version(self) -> str:
        try:
            return version(self.name)
        except PackageNotFoundError:
            return ""


@frozen
class _Zlib(_Library):
    """A library of Python's own."""

    @property
    def version(self) -> str:
        return zlib.ZLIB_RUNTIME_VERSION


@frozen
class _Row:
    """A codec, before anything is imported for it."""

    name: str
    decodes: frozenset[str]
    encodes: bool
    create: Callable[[], Codec]
    library: _Library

    def descriptor(self, version: str) -> CodecDescriptor:
        return CodecDescriptor(
            f"basic-{self.name}",
            decodes=self.decodes,
            encodes=self.decodes if self.encodes else frozenset(),
            create=self.create,
            library=self.library.name,
            version=version,
            licence=self.library.licence,
            bits=self.library.bits,
        )


def _jpegs(*numbers: int) -> frozenset[str]:
    return frozenset(f"{_JPEG}{number}" for number in numbers)


_OPENJPEG: Final = _Library("pylibjpeg-openjpeg", "MIT", (1, 24))
_CHARLS: Final = _Library("pyjpegls", "MIT", (2, 16))  # PS3.5 Table 8.2.3-1
_PYLIBJPEG_RLE: Final = _Library("pylibjpeg-rle", "MIT", (1, 16))  # PS3.5 Table 8.2.2-1
_ZLIB: Final = _Zlib("zlib", "Zlib", (1, 32))
_PLAIN: Final = _Library("pacs-codec-basic", "MIT", (1, 32))
_LIBJPEG: Final = _Library("pylibjpeg-libjpeg", "GPL-3.0", (2, 16), module="_libjpeg")

_DEFLATED_FRAMES: Final = frozenset({"1.2.840.10008.1.2.8.1"})
_UNCOMPRESSED_FRAMES: Final = frozenset({"1.2.840.10008.1.2.1.98"})
_RLE: Final = frozenset({"1.2.840.10008.1.2.5"})

_LOSSLESS_2000: Final = partial(create, "jpeg2000.OpenJpegCodec", lossy=False)
_LOSSY_2000: Final = partial(create, "jpeg2000.OpenJpegCodec", lossy=True)
_LOSSLESS_LS: Final = partial(create, "jpegls.CharLsCodec", lossy=False)
_LOSSY_LS: Final = partial(create, "jpegls.CharLsCodec", lossy=True)
_RUN_LENGTH: Final = partial(create, "run_length.RunLengthCodec")
_DEFLATE: Final = partial(create, "deflated.DeflateCodec")
_UNCOMPRESSED: Final = partial(create, "deflated.UncompressedCodec")
_HUFFMAN: Final = partial(create, "jpeg.JpegCodec")

_CODECS: Final = (
    _Row("jpeg-2000-lossless", _jpegs(90), True, _LOSSLESS_2000, _OPENJPEG),
    _Row("jpeg-2000", _jpegs(91), True, _LOSSY_2000, _OPENJPEG),
    _Row("htj2k", _jpegs(201, 202, 203), False, _LOSSLESS_2000, _OPENJPEG),
    _Row("jpeg-ls-lossless", _jpegs(80), True, _LOSSLESS_LS, _CHARLS),
    _Row("jpeg-ls", _jpegs(81), True, _LOSSY_LS, _CHARLS),
    _Row("rle", _RLE, True, _RUN_LENGTH, _PYLIBJPEG_RLE),
    _Row("deflated-frames", _DEFLATED_FRAMES, True, _DEFLATE, _ZLIB),
    _Row("uncompressed-frames", _UNCOMPRESSED_FRAMES, True, _UNCOMPRESSED, _PLAIN),
    _Row("jpeg", _jpegs(50, 51, 57, 70), False, _HUFFMAN, _LIBJPEG),
)


@hookimpl
def pacs_codecs() -> list[CodecDescriptor]:
    """Return a codec for each transfer syntax that is encoded in its own way."""
    # Each reads a file, and is of several rows.
    versions = {library: library.version for library in {row.library for row in _CODECS}}
    return [row.descriptor(versions[row.library]) for row in _CODECS if row.library.installed]
