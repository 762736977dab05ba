"""What is special about this codec, and a node that knows it."""

import zlib
from collections.abc import Callable

import pytest
from pacs_core.contracts import CodecError, EncodeOptions
from pacs_core.testing.codec_contract import frame_format
from pacs_core.testing.node import NodeThread, chosen_plugins

from {{ cookiecutter.__package }} import Config, DeflateCodec

NAME = "{{ cookiecutter.name }}"
FRAME = frame_format(64, 64)
NATIVE = bytes(FRAME.size)


def test_codestreams_have_even_length_and_no_header() -> None:
    for level in range(1, 10):
        for size in (1, 64, 65):
            frame = frame_format(1, size)
            codestream = DeflateCodec(level).encode(bytes(size), frame, EncodeOptions()).data
            assert len(codestream) % 2 == 0
            assert zlib.decompressobj(-zlib.MAX_WBITS).decompress(codestream) == bytes(size)


def test_a_bomb_does_not_go_off() -> None:
    bomb = DeflateCodec(9).encode(bytes(1 << 24), frame_format(4096, 4096), EncodeOptions())
    with pytest.raises(CodecError, match="exceeds"):
        DeflateCodec().decode(bomb.data, FRAME)


@pytest.mark.parametrize("level", [0, 10])
def test_levels_are_1_to_9(level: int) -> None:
    with pytest.raises(ValueError, match="level"):
        Config(level=level)


def test_a_node_starts_with_it(pacs_node: Callable[..., NodeThread]) -> None:
    tables = {"plugin": {NAME: {"level": 9}}, "plugins": {"strict": True}}
    assert pacs_node(tables, plugins=[NAME]).port
    (record,) = chosen_plugins([NAME]).loaded
    assert record.hooks == ("pacs_codecs", "pacs_config")
