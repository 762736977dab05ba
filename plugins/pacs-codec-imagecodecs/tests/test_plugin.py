"""The plugin as a node sees it, and the transfer syntax that is only decoded."""

import subprocess
import sys
from importlib.metadata import version

import pytest
from imagecodecs import jpegxl_encode, jpegxl_encode_jpeg
from pacs_codec_imagecodecs import pacs_codecs
from pacs_codec_imagecodecs.jpegxl import restored_jpeg

from pacs_core.contracts import CodecError, EncodeOptions, NodeSettings, Setup
from pacs_core.testing.codec_contract import frame_format
from pacs_core.testing.node import chosen_plugins

ROOT = "1.2.840.10008.1.2.4."
RLE = "1.2.840.10008.1.2.5"
SYNTAXES = {50, 51, 57, 70, 80, 81, 90, 91, 110, 111, 112, 201, 202, 203}
START = """
import sys
from pacs_codec_imagecodecs import pacs_codecs
from pacs_core.contracts import NodeSettings, Setup
pacs_codecs(Setup(NodeSettings()))
print({"numpy", "imagecodecs"} & set(sys.modules))
"""
COLOUR = frame_format(40, 48, colour=True)


def test_each_transfer_syntax_has_one_codec() -> None:
    descriptors = pacs_codecs(Setup(NodeSettings()))
    decoded = [uid for each in descriptors for uid in each.decodes]
    assert sorted(decoded) == sorted(f"{ROOT}{suffix}" for suffix in SYNTAXES)
    encoded = [uid for each in descriptors for uid in each.encodes]
    assert sorted(encoded) == sorted({*decoded, RLE} - {f"{ROOT}111"})
    assert len({each.name for each in descriptors}) == len(SYNTAXES) + 1
    for each in descriptors:
        assert each.version == version("imagecodecs")
        assert each.licence
        assert each.library


def test_a_node_knows_it_without_importing_numpy() -> None:
    done = subprocess.run([sys.executable, "-c", START], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_entry_point_is_found() -> None:
    (record,) = chosen_plugins(["codec-imagecodecs"]).loaded
    assert record.hooks == ("pacs_codecs",)


@pytest.fixture
def jpeg(codec_of, smooth):
    return codec_of("50").encode(smooth(COLOUR).tobytes(), COLOUR, EncodeOptions())


def test_a_recompressed_jpeg_is_decoded_as_the_jpeg_that_it_was(codec_of, jpeg) -> None:
    original = jpeg.data.removesuffix(b"\0")
    recompressed = jpegxl_encode_jpeg(original)
    assert len(recompressed) < len(original)
    assert restored_jpeg(recompressed) == original
    decoded = codec_of("111").decode(recompressed, jpeg.format)
    assert decoded == codec_of("50").decode(jpeg.data, jpeg.format)
    assert decoded == codec_of("111").decode(recompressed + b"\0", jpeg.format)


def test_a_native_frame_cannot_be_recompressed(codec_of) -> None:
    with pytest.raises(CodecError, match="only a JPEG"):
        codec_of("111").encode(bytes(COLOUR.size), COLOUR, EncodeOptions())


def test_without_its_jpeg_a_recompressed_image_is_decoded_all_the_same(
    codec_of, smooth, array_of
) -> None:
    frame = frame_format(40, 48)
    pixels = smooth(frame)
    decoded = codec_of("111").decode(bytes(jpegxl_encode(pixels, lossless=True)), frame)
    assert (array_of(decoded) == pixels).all()


def test_a_recompressed_jpeg_of_another_size_is_refused(codec_of, jpeg) -> None:
    with pytest.raises(CodecError, match="40 x 48"):
        codec_of("111").decode(jpegxl_encode_jpeg(jpeg.data), frame_format(48, 40, colour=True))


def test_a_damaged_recompressed_jpeg_is_refused(codec_of, jpeg) -> None:
    recompressed = jpegxl_encode_jpeg(jpeg.data)
    for length in range(0, len(recompressed), 7):
        with pytest.raises(CodecError):
            codec_of("111").decode(recompressed[:length], jpeg.format)
