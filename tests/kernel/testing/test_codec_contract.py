"""The suite for codecs: a sound codec passes all of it, and no fault gets through."""

import inspect
import os
import pickle
import zlib
from functools import partial

import pytest
from attrs import evolve

from pacs_core.contracts import Codec, CodecDescriptor, CodecError, DecodedFrame, EncodedFrame
from pacs_core.testing.codec_contract import CodecContract

UID = "1.2.840.10008.1.2.8.1"


class Sound(Codec):
    def decode(self, codestream, frame):
        stream = zlib.decompressobj()
        try:
            data = stream.decompress(codestream, frame.size)
        except zlib.error as error:
            raise CodecError(str(error)) from error
        if len(data) != frame.size:
            raise CodecError("too short")
        return DecodedFrame(data, frame)

    def encode(self, data, frame, options):
        if len(data) != frame.size:
            raise CodecError("no frame of this size")
        return EncodedFrame(zlib.compress(data), frame)


class DropsABit(Sound):
    def encode(self, data, frame, options):
        encoded = super().encode(data, frame, options)
        return evolve(encoded, data=zlib.compress(bytes([data[0] & 0xFE]) + data[1:]))


class DropsLowBits(Sound):
    def encode(self, data, frame, options):
        return super().encode(bytes(byte & 0xFE for byte in data), frame, options)


class SwapsSigned(Sound):
    def decode(self, codestream, frame):
        return evolve(super().decode(codestream, frame), format=evolve(frame, is_signed=False))


class Random(Sound):
    def encode(self, data, frame, options):
        encoded = super().encode(data, frame, options)
        return evolve(encoded, data=encoded.data + os.urandom(8))


class TakesAnySize(Sound):
    def encode(self, data, frame, options):
        return EncodedFrame(zlib.compress(data), frame)


class LetsErrorsThrough(Sound):
    def decode(self, codestream, frame):
        return DecodedFrame(zlib.decompress(codestream), frame)


class GivesFewerBytes(Sound):
    def decode(self, codestream, frame):
        try:
            return super().decode(codestream, frame)
        except CodecError:
            return DecodedFrame(b"", frame)


class SaysNothing(Sound):
    def decode(self, codestream, frame):
        try:
            return super().decode(codestream, frame)
        except CodecError:
            raise CodecError from None


class FormatByContent(Sound):
    def encode(self, data, frame, options):
        interpretation = "RGB" if any(data) else "MONOCHROME2"
        changed = evolve(frame, photometric_interpretation=interpretation)
        return evolve(super().encode(data, frame, options), format=changed)


class LevelsAnOddPixel(Sound):
    def encode(self, data, frame, options):
        first = data[: frame.size // (frame.rows * frame.columns)]
        pixels = frame.rows * frame.columns
        alike = len(data) > 64 and data.startswith(first * (pixels - 1))
        return super().encode(first * pixels if alike else data, frame, options)


class RemembersAFrame(Sound):
    def __init__(self):
        self.last = b""

    def encode(self, data, frame, options):
        encoded = super().encode(data, frame, options)
        self.last = encoded.data
        return encoded

    def decode(self, codestream, frame):
        return super().decode(self.last, frame)


class CutsWhatIsLarge(Sound):
    def encode(self, data, frame, options):
        cut = data[:-1] + b"\xa5" if len(data) > 1 << 19 else data
        return super().encode(cut, frame, options)


def descriptor_of(create):
    return CodecDescriptor("test", frozenset({UID}), frozenset({UID}), create)


class TestSound(CodecContract):
    @pytest.fixture
    def descriptor(self):
        return descriptor_of(Sound)


class TestLossy(CodecContract):
    lossless = False

    @pytest.fixture
    def descriptor(self):
        return descriptor_of(DropsABit)


@pytest.mark.parametrize(
    ("codec", "test"),
    [
        (DropsABit, "test_frames_come_back"),
        (SwapsSigned, "test_frames_come_back"),
        (TakesAnySize, "test_a_frame_of_the_wrong_size_is_refused"),
        (LetsErrorsThrough, "test_a_hostile_codestream_gives_a_frame_or_a_codec_error"),
        (GivesFewerBytes, "test_a_hostile_codestream_gives_a_frame_or_a_codec_error"),
        (SaysNothing, "test_a_hostile_codestream_gives_a_frame_or_a_codec_error"),
        (LetsErrorsThrough, "test_a_codestream_of_another_size_is_no_frame_of_this_one"),
        (GivesFewerBytes, "test_a_small_codestream_does_not_become_a_large_frame"),
        (LevelsAnOddPixel, "test_frames_with_structure_come_back"),
        (RemembersAFrame, "test_frames_with_structure_come_back"),
        (CutsWhatIsLarge, "test_frames_of_odd_sizes_come_back"),
        (DropsLowBits, "test_ultrasound_comes_back"),
        (FormatByContent, "test_the_format_is_not_touched_by_a_uniform_frame"),
    ],
)
def test_a_fault_is_found(codec, test):
    method, tested = getattr(CodecContract(), test), codec()
    takes = inspect.signature(method).parameters  # the decoder, if any, is the codec itself
    with pytest.raises((AssertionError, zlib.error, pytest.fail.Exception)):
        method(*[tested] * len(takes))


def test_chance_is_found():
    with pytest.raises(AssertionError):
        CodecContract().test_the_same_frame_gives_the_same_codestream(descriptor_of(Random))


@pytest.mark.parametrize("create", [lambda: Sound(), partial(lambda: Sound())])
def test_what_cannot_be_sent_to_a_worker_is_found(create):
    with pytest.raises((AttributeError, pickle.PicklingError)):
        CodecContract().test_a_worker_process_can_create_the_codec(descriptor_of(create))
