"""Base of all codecs here: checks around a call of the library."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from attrs import evolve, frozen

from pacs_codec_imagecodecs.header import check_agreement, check_format
from pacs_codec_imagecodecs.samples import (
    Samples,
    precision_of,
    samples_of,
    shape_of,
    to_native,
)
from pacs_core.api.images import CodestreamImage
from pacs_core.contracts import (
    Codec,
    CodecError,
    DecodedFrame,
    EncodedFrame,
    EncodeOptions,
    FrameFormat,
)

# Theory of operation
#
# A decoder believes its codestream, and the node has to believe the dataset. So the header of a
# codestream is read by code of ours before the library sees it, and compared with the format that
# the dataset states: a codestream that announces another size is refused before anybody allocates
# for it. After decoding the shape is compared again, as what follows a header need not be what it
# announced.
#
# Where the two may differ, in how many bits are used, the codestream is right, and the samples are
# brought into the form that the dataset states.
#
# The template methods leave to each codec only what is special about it: how to look at a
# codestream, which format its encoder makes of a frame, and the call of the library.

GREY: Final = frozenset({"MONOCHROME1", "MONOCHROME2"})
Header = TypeVar("Header")
Result = TypeVar("Result")


@frozen
class Codestream(Generic[Header]):
    """A codestream that has been looked at.

    Attributes
    ----------
    data : bytes
        From its beginning to its end, without what a sender left around it.
    image : CodestreamImage
        What it announces.
    header
        What else it says of itself.
    """

    data: bytes
    image: CodestreamImage
    header: Header


class ImageCodec(Codec, Generic[Header]):
    """A codec whose library is called between checks."""

    def decode(self, codestream: bytes, frame: FrameFormat) -> DecodedFrame:
        """Return the native frame; the header is compared with `frame` before it is decoded.

        Raises
        ------
        CodecError
            The codestream is broken, or is not what the dataset says.
        """
        check_format(frame)
        read = self._read(codestream)
        check_agreement(read.image, frame)
        decoded = call(lambda: self._decode_samples(read, frame))
        if decoded.shape != shape_of(frame):
            raise CodecError(f"decoding gave {decoded.shape} samples, not {shape_of(frame)}")
        samples = to_native(decoded, read.image.precision, frame)
        name = frame.photometric_interpretation
        name = "RGB" if self._yields_rgb(read, name) else name
        form = evolve(frame, photometric_interpretation=name, planar_configuration=0)
        return DecodedFrame(samples, form)

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
        target = self._target_format(frame, options)
        samples = samples_of(data, frame)
        precision = precision_of(samples, frame)
        codestream = call(lambda: self._encode_samples(samples, precision, frame, options))
        return EncodedFrame(codestream + bytes(len(codestream) % 2), target)

    def _yields_rgb(self, codestream: Codestream[Header], photometric: str) -> bool:
        """Return whether decoding turns this photometric interpretation into RGB."""
        return False

    @abstractmethod
    def _read(self, codestream: bytes) -> Codestream[Header]:
        """Look at a codestream; raise CodecError if it is none, or a bad one."""

    @abstractmethod
    def _decode_samples(self, codestream: Codestream[Header], frame: FrameFormat) -> Samples:
        """Return the samples in the shape of the frame."""

    @abstractmethod
    def _target_format(self, frame: FrameFormat, options: EncodeOptions) -> FrameFormat:
        """Return the format after encoding; raise CodecError if it cannot be encoded."""

    @abstractmethod
    def _encode_samples(
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
