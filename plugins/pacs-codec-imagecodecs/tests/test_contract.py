"""The contract of codecs, for each transfer syntax that is encoded."""

from collections.abc import Callable

import pytest
from pacs_codec_basic.run_length import RunLengthCodec
from pacs_codec_imagecodecs import pacs_codecs

from pacs_core.contracts import Codec, CodecDescriptor, NodeSettings, Setup
from pacs_core.testing.codec_contract import FORMATS, CodecContract, frame_format

BYTES = {name: each for name, each in FORMATS.items() if each.bits_stored == 8}
UNSIGNED_BYTES = {name: each for name, each in BYTES.items() if not each.is_signed}
UNSIGNED = {name: each for name, each in FORMATS.items() if not each.is_signed}
TWELVE = {
    "12 of 16 bit": frame_format(bits=16, stored=12),
    "12 bit, odd": frame_format(13, 7, bits=16, stored=12),
}


class SyntaxContract(CodecContract):
    syntax: str

    @pytest.fixture
    def descriptor(self, descriptor_of: Callable[[str], CodecDescriptor]) -> CodecDescriptor:
        return descriptor_of(self.syntax)


class TestJpegLossless(SyntaxContract):
    syntax = "57"


class TestJpegLosslessFirstOrder(SyntaxContract):
    syntax = "70"


class TestJpegLsLossless(SyntaxContract):
    syntax = "80"


class TestJpeg2000Lossless(SyntaxContract):
    syntax = "90"


class TestHtj2kLossless(SyntaxContract):
    syntax = "201"


class TestHtj2kLosslessRpcl(SyntaxContract):
    syntax = "202"


class TestJpegXlLossless(SyntaxContract):
    syntax = "110"


class TestRunLength(CodecContract):
    """It only encodes; what decodes is the codec that a node has beside it."""

    formats = FORMATS | {"32 bit": frame_format(9, 5, bits=32)}

    @pytest.fixture
    def descriptor(self) -> CodecDescriptor:
        return {each.name: each for each in pacs_codecs(Setup(NodeSettings()))}["imagecodecs-rle"]

    @pytest.fixture
    def decoder(self) -> Codec:
        return RunLengthCodec()


class LossyContract(SyntaxContract):
    lossless = False


class TestJpegBaseline(LossyContract):
    syntax = "50"
    formats = UNSIGNED_BYTES


class TestJpegExtended(LossyContract):
    syntax = "51"
    formats = UNSIGNED_BYTES | TWELVE


class TestJpegLsNearLossless(LossyContract):
    syntax = "81"


class TestJpeg2000(LossyContract):
    syntax = "91"


class TestHtj2k(LossyContract):
    syntax = "203"


class TestJpegXl(LossyContract):
    syntax = "112"
    formats = UNSIGNED
