"""The contract of codecs."""

import pytest
from pacs_core.contracts import CodecDescriptor, NodeSettings, Setup
from pacs_core.testing.codec_contract import CodecContract

from {{ cookiecutter.__package }} import Config, pacs_codecs


class TestDeflateCodec(CodecContract):
    @pytest.fixture
    def descriptor(self) -> CodecDescriptor:
        return pacs_codecs(Setup(NodeSettings(), {Config: Config()}))[0]
