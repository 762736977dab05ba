# ruff: noqa: D102 - the names of the tests are their documentation
"""The contract of codecs as tests: inherit, and say what the codec is and what it can do.

Example
-------
::

    class TestRunLengthCodec(CodecContract):
        @pytest.fixture
        def descriptor(self) -> CodecDescriptor:
            return pacs_codecs(Setup(NodeSettings()))[0]
"""

import pickle
import random
from typing import TYPE_CHECKING, Final

import pytest
from attrs import evolve

from pacs_core.contracts import (
    Codec,
    CodecDescriptor,
    CodecError,
    EncodedFrame,
    EncodeOptions,
    FrameFormat,
)
from pacs_core.dimse import is_valid_uid
from pacs_core.testing.sample_frames import (
    Picture,
    paint,
    pictures,
    structured_pictures,
    tile_picture,
    ultrasound,
)

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["FORMATS", "CodecContract", "Picture", "format_of", "frame_format", "pictures"]

OPTIONS: Final = EncodeOptions()


def frame_format(
    rows: int = 16,
    columns: int = 16,
    *,
    bits: int = 8,
    stored: int = 0,
    signed: bool = False,
    colour: bool = False,
) -> FrameFormat:
    """Return the format of a frame; `stored` is `bits` unless given."""
    return FrameFormat(
        rows,
        columns,
        samples_per_pixel=3 if colour else 1,
        bits_allocated=bits,
        bits_stored=stored or bits,
        is_signed=signed,
        photometric_interpretation="RGB" if colour else "MONOCHROME2",
    )


def format_of(dataset: "Dataset") -> FrameFormat:
    """Return the format of the frames of a dataset of pydicom's, as it says itself."""
    return FrameFormat(
        dataset.Rows,
        dataset.Columns,
        dataset.SamplesPerPixel,
        dataset.BitsAllocated,
        dataset.BitsStored,
        bool(dataset.PixelRepresentation),
        dataset.PhotometricInterpretation,
    )


FORMATS: Final = {
    "8 bit": frame_format(),
    "8 bit signed": frame_format(signed=True),
    "16 bit": frame_format(bits=16),
    "16 bit signed": frame_format(bits=16, signed=True),
    "12 of 16 bit": frame_format(bits=16, stored=12),
    "12 of 16 bit signed": frame_format(bits=16, stored=12, signed=True),
    "RGB": frame_format(colour=True),
    "a pixel": frame_format(1, 1),
    "a row": frame_format(1, 257),
    "a column": frame_format(257, 1),
    "odd sides": frame_format(13, 7, bits=16),
    "larger": frame_format(300, 200, bits=16, stored=12),
}
"""Formats of frames that image codecs are asked for, by what is special about them."""


SIDES: Final = ((1, 1), (1, 2), (2, 1), (3, 5), (31, 33), (127, 129), (1025, 769))
"""Rows and columns about the sizes of blocks, tiles and groups, and no multiples of them."""
SPECKLED: Final = (1, 2, 719, 1347, 2855)
"""Seeds of ultrasound images; the last three come back wrong from libjxl 0.11 with effort 1."""


def _wreckage(codestream: bytes) -> dict[str, bytes]:
    """Return codestreams, by what was done to a good one, that a peer may send."""
    middle = len(codestream) // 2
    noise = random.Random(middle).randbytes(len(codestream) + 64)  # noqa: S311
    return {
        "empty": b"",
        "one byte": codestream[:1],
        "cut in the middle": codestream[:middle],
        "without its beginning": codestream[middle:],
        "zeros": bytes(len(codestream) + 64),
        "ones": b"\xff" * (len(codestream) + 64),
        "noise": noise,
        "noise after a good start": codestream[:middle] + noise[middle:],
        "text": b"GET / HTTP/1.1\r\n\r\n" * 8,
    }


class CodecContract:
    """What every codec must do.

    Subclass it in a test module, and define the fixture ``descriptor``. Say in class attributes
    what the transfer syntaxes allow: the suite encodes and decodes :attr:`formats` only.

    Attributes
    ----------
    formats : mapping of str to FrameFormat
        The formats that the codec takes.
    lossless : bool
        Whether a frame comes back as it was; otherwise it comes back in the same size.
    """

    formats = FORMATS
    lossless = True

    @pytest.fixture
    def descriptor(self) -> CodecDescriptor:
        """Return the descriptor of the codec."""
        raise NotImplementedError("define the fixture `descriptor`")

    @pytest.fixture
    def codec(self, descriptor: CodecDescriptor) -> Codec:
        """Return the codec."""
        return descriptor.create()

    @pytest.fixture
    def decoder(self, codec: Codec) -> Codec:
        """Return what decodes its codestreams: another codec, if it only encodes."""
        return codec

    def test_the_descriptor_names_transfer_syntaxes(self, descriptor: CodecDescriptor) -> None:
        assert descriptor.name
        assert descriptor.transfer_syntaxes
        assert all(map(is_valid_uid, descriptor.transfer_syntaxes))
        assert all(is_valid_uid(source) for source, _ in descriptor.recompresses)

    def test_a_worker_process_can_create_the_codec(self, descriptor: CodecDescriptor) -> None:
        """`create` can be sent there: it is no lambda, and no function within another."""
        created = pickle.loads(pickle.dumps(descriptor.create))()  # noqa: S301
        assert isinstance(created, Codec)

    def test_frames_come_back(self, codec: Codec, decoder: Codec) -> None:
        for name, frame in self.formats.items():
            for content, picture in pictures(frame).items():
                encoded = codec.encode(picture.data, frame, OPTIONS)
                self._comes_back(picture, encoded, decoder, f"{name}, {content}")

    def test_frames_with_structure_come_back(self, codec: Codec, decoder: Codec) -> None:
        """Of several frames, each is itself: nothing of one remains in the codec for another."""
        for name, frame in self.formats.items():
            structured = structured_pictures(frame)
            encoded = [codec.encode(each.data, frame, OPTIONS) for each in structured.values()]
            for (content, picture), each in zip(structured.items(), encoded, strict=True):
                self._comes_back(picture, each, decoder, f"{name}, {content}")

    def test_frames_of_odd_sizes_come_back(self, codec: Codec, decoder: Codec) -> None:
        for name, form in self._kinds().items():
            content = paint(evolve(form, rows=41, columns=97), ultrasound(41, 97, 255, seed=1))
            for rows, columns in SIDES:
                picture = tile_picture(content, rows, columns)
                encoded = codec.encode(picture.data, picture.format, OPTIONS)
                self._comes_back(picture, encoded, decoder, f"{name}, {rows} x {columns}")

    def test_ultrasound_comes_back(self, codec: Codec, decoder: Codec) -> None:
        for name, form in self._kinds().items():
            frame = evolve(form, rows=64, columns=256)
            for seed in SPECKLED:
                picture = paint(frame, ultrasound(64, 256, 255, seed))
                encoded = codec.encode(picture.data, frame, OPTIONS)
                self._comes_back(picture, encoded, decoder, f"{name}, seed {seed}")

    def _kinds(self) -> dict[str, FrameFormat]:
        """Return one of the formats that are grey, and one of those in colour, if there are any."""
        kinds: dict[str, FrameFormat] = {}
        for form in self.formats.values():
            kinds.setdefault("grey" if form.samples_per_pixel == 1 else "colour", form)
        return kinds

    def _comes_back(
        self, picture: Picture, encoded: EncodedFrame, decoder: Codec, what: str
    ) -> None:
        decoded = decoder.decode(encoded.data, encoded.format)
        assert decoded.format.rows == picture.format.rows, what
        assert decoded.format.columns == picture.format.columns, what
        assert len(decoded.data) == decoded.format.size, what
        if self.lossless:
            assert decoded.data == picture.data, what
            assert decoded.format == picture.format, what

    def test_the_same_frame_gives_the_same_codestream(self, descriptor: CodecDescriptor) -> None:
        """No state, no clock, no chance: a digest of what is sent can be relied upon."""
        for frame in self.formats.values():
            data = pictures(frame)["noise"].data
            first, second = (
                descriptor.create().encode(data, frame, OPTIONS).data for _ in range(2)
            )
            assert first == second

    def test_the_format_is_not_touched_by_a_uniform_frame(self, codec: Codec) -> None:
        """A codestream says what it holds in the format beside it, not by its content."""
        for frame in self.formats.values():
            formats = {
                codec.encode(picture.data, frame, OPTIONS).format
                for picture in pictures(frame).values()
            }
            assert len(formats) == 1

    def test_a_frame_of_the_wrong_size_is_refused(self, codec: Codec) -> None:
        for frame in self.formats.values():
            data = pictures(frame)["ramp"].data
            for wrong in (b"", data[:-1], data + bytes(1)):
                with pytest.raises(CodecError):
                    codec.encode(wrong, frame, OPTIONS)

    def test_a_hostile_codestream_gives_a_frame_or_a_codec_error(self, codec: Codec) -> None:
        """What comes out has the size that was announced, whatever goes in."""
        for name, frame in self.formats.items():
            good = codec.encode(pictures(frame)["noise"].data, frame, OPTIONS)
            for fault, codestream in _wreckage(good.data).items():
                self._decodes_or_says_why(codec, codestream, good.format, f"{name}, {fault}")

    def test_a_codestream_of_another_size_is_no_frame_of_this_one(self, codec: Codec) -> None:
        """The dataset's Rows and Columns are not the codestream's: never too few or many bytes."""
        small, large = frame_format(8, 8), frame_format(64, 64)
        for real, announced in ((small, large), (large, small)):
            encoded = codec.encode(pictures(real)["noise"].data, real, OPTIONS)
            self._decodes_or_says_why(codec, encoded.data, announced, "another size")

    def test_a_small_codestream_does_not_become_a_large_frame(self, codec: Codec) -> None:
        """A frame of a terabyte is refused before memory is asked for."""
        frame = frame_format(8, 8)
        encoded = codec.encode(pictures(frame)["zeros"].data, frame, OPTIONS)
        with pytest.raises(CodecError):
            codec.decode(encoded.data, frame_format(1 << 20, 1 << 20))

    def test_a_frame_without_pixels_holds_nothing(self, codec: Codec) -> None:
        """Rows or Columns of zero set no limit aside: nothing comes out, or an error."""
        large = frame_format(512, 512)
        encoded = codec.encode(pictures(large)["zeros"].data, large, OPTIONS)
        for rows, columns in ((0, 0), (0, 512), (512, 0)):
            empty = frame_format(rows, columns)
            self._decodes_or_says_why(codec, encoded.data, empty, f"{rows} x {columns}")

    def _decodes_or_says_why(
        self, codec: Codec, codestream: bytes, frame: FrameFormat, fault: str
    ) -> None:
        try:
            decoded = codec.decode(codestream, frame)
        except CodecError as error:
            refusal = str(error)
            assert refusal, f"{fault}: the message says nothing"
            return
        assert len(decoded.data) == decoded.format.size, fault
