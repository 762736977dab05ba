"""The contract of codecs, for each transfer syntax that is encoded."""

import pytest
from pacs_codec_basic import pacs_codecs

from pacs_core.testing.codec_contract import FORMATS, CodecContract, frame_format

CODECS = {descriptor.name: descriptor for descriptor in pacs_codecs()}
WIDE = FORMATS | {
    "32 bit": frame_format(9, 5, bits=32),
    "32 bit signed": frame_format(9, 5, bits=32, signed=True),
    "24 of 32 bit": frame_format(9, 5, bits=32, stored=24),
}
COLOURS = FORMATS | {
    "16 bit RGB": frame_format(40, 33, bits=16, stored=10, colour=True),
    "large RGB": frame_format(64, 64, colour=True),
}


class TestJpeg2000Lossless(CodecContract):
    formats = COLOURS | {"24 of 32 bit": frame_format(9, 50, bits=32, stored=24)}

    @pytest.fixture
    def descriptor(self):
        return CODECS["basic-jpeg-2000-lossless"]


class TestJpeg2000(CodecContract):
    formats = COLOURS

    @pytest.fixture
    def descriptor(self):
        return CODECS["basic-jpeg-2000"]


class TestJpegLsLossless(CodecContract):
    formats = COLOURS

    @pytest.fixture
    def descriptor(self):
        return CODECS["basic-jpeg-ls-lossless"]


class TestJpegLs(CodecContract):
    formats = COLOURS

    @pytest.fixture
    def descriptor(self):
        return CODECS["basic-jpeg-ls"]


class TestRunLength(CodecContract):
    formats = COLOURS | WIDE

    @pytest.fixture
    def descriptor(self):
        return CODECS["basic-rle"]


class TestDeflatedFrames(CodecContract):
    formats = COLOURS | WIDE

    @pytest.fixture
    def descriptor(self):
        return CODECS["basic-deflated-frames"]


class TestUncompressedFrames(CodecContract):
    formats = COLOURS | WIDE

    @pytest.fixture
    def descriptor(self):
        return CODECS["basic-uncompressed-frames"]
