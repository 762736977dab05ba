"""What all codecs here have in common: checks around a call of the library."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Final, TypeVar

from attrs import evolve

from pacs_codec_imagecodecs.header import Header, check_agreement, check_format
from pacs_codec_imagecodecs.samples import (
    Samples,
    native,
    precision_of,
    samples_of,
    shape_of,
)
from pacs_core.contracts import (
    Codec,
    CodecError,
    DecodedFrame,
    EncodedFrame,
    EncodeOptions,
    FrameFormat,
)

GREY: Final = frozenset({"MONOCHROME1", "MONOCHROME2"})
Result = TypeVar("Result")


class ImageCodec(Codec):
    """A codec whose library is called between checks.

    Attributes
    ----------
    transformed : frozenset of str
        Photometric interpretations that the library turns into RGB.
    """

    transformed: frozenset[str] = frozenset()

    def decode(self, codestream: bytes, frame: FrameFormat) -> DecodedFrame:
        """Return the native frame; the header is compared with `frame` before it is decoded.

        Raises
        ------
        CodecError
            The codestream is broken, or is not what the dataset says.
        """
        check_format(frame)
        header = self._read(codestream)
        check_agreement(header, frame)
        decoded = call(lambda: self._decoded(codestream, frame))
        if decoded.shape != shape_of(frame):
            raise CodecError(f"decoding gave {decoded.shape} samples, not {shape_of(frame)}")
        return DecodedFrame(native(decoded, header.precision, frame), self._as_decoded(frame))

    def encode(self, data: bytes, frame: FrameFormat, options: EncodeOptions) -> EncodedFrame:
        """Return the codestream, of even length, and the format that the dataset must have.

        Raises
        ------
        CodecError
            The syntax cannot hold such a frame, or `data` has another size.
        """
        check_format(frame)
        if len(data) != frame.size:
            raise CodecError(f"{len(data)} bytes are no frame of {frame.size}")
        target = self._as_encoded(frame, options)
        samples = samples_of(data, frame)
        precision = precision_of(samples, frame)
        codestream = call(lambda: self._encoded(samples, precision, frame, options))
        return EncodedFrame(codestream + bytes(len(codestream) % 2), target)

    def _as_decoded(self, frame: FrameFormat) -> FrameFormat:
        name = frame.photometric_interpretation
        name = "RGB" if name in self.transformed else name
        return evolve(frame, photometric_interpretation=name, planar_configuration=0)

    @abstractmethod
    def _read(self, codestream: bytes) -> Header:
        """Return the codestream's header; raise CodecError if it has none, or a bad one."""

    @abstractmethod
    def _decoded(self, codestream: bytes, frame: FrameFormat) -> Samples:
        """Return the samples in the shape of the frame."""

    @abstractmethod
    def _as_encoded(self, frame: FrameFormat, options: EncodeOptions) -> FrameFormat:
        """Return the format after encoding; raise CodecError if it cannot be encoded."""

    @abstractmethod
    def _encoded(
        self, samples: Samples, precision: int, frame: FrameFormat, options: EncodeOptions
    ) -> bytes:
        """Return the codestream of samples that need `precision` bits."""


def refuse(frame: FrameFormat, syntax: str) -> CodecError:
    """Return the error for a format that a syntax cannot hold."""
    sign = "signed" if frame.is_signed else "unsigned"
    return CodecError(
        f"{syntax} cannot hold {frame.photometric_interpretation} with {frame.bits_stored} of "
        f"{frame.bits_allocated} bits, {sign}"
    )


def call(work: Callable[[], Result]) -> Result:
    """Return what the library makes; whatever it raises is a CodecError."""
    try:
        return work()
    except CodecError:
        raise
    except Exception as error:
        raise CodecError(f"the library gave up: {error or type(error).__name__}") from error
