"""Every file of these transfer syntaxes that pydicom ships, against pydicom's own decoders."""

import warnings
from pathlib import Path

import numpy as np
import pydicom.data
import pytest
from pydicom import dcmread
from pydicom.encaps import generate_frames
from pydicom.pixels import get_decoder

from pacs_core.contracts import CodecError
from pacs_core.testing.codec_contract import format_of

ROOT = "1.2.840.10008.1.2.4."
REFERENCE = {
    "50": ("pillow", 0),
    "51": ("pylibjpeg", 1),
    "70": ("pylibjpeg", 0),
    "80": ("pyjpegls", 0),
    "81": ("pyjpegls", 0),
    "90": ("pylibjpeg", 0),
    "91": ("pylibjpeg", 0),
}
"""Which plugin of pydicom to compare with, and how much an inverse DCT may differ."""
OVERWRITTEN = "JPEG2000-embedded-sequence-delimiter.dcm"
"""Columns in SIZ were replaced by an item tag, to test how fragments are found."""
UNREADABLE = "JPEG-lossy.dcm"
"""pydicom's decoders refuse it."""


def read(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dcmread(path, force=True)


def syntax_of(path):
    try:
        dataset = read(path)
        suffix = dataset.file_meta.TransferSyntaxUID.removeprefix(ROOT)
    except (AttributeError, EOFError, OSError, ValueError):
        return ""
    return suffix if suffix in REFERENCE and "PixelData" in dataset else ""


FOLDER = Path(pydicom.data.__file__).with_name("test_files")
PATHS = [path for path in sorted(FOLDER.rglob("*.dcm")) if syntax_of(path)]


def frames_of(dataset):
    count = int(dataset.get("NumberOfFrames", 1))
    return list(generate_frames(dataset.PixelData, number_of_frames=count))


def test_there_are_files() -> None:
    assert {syntax_of(path) for path in PATHS} == set(REFERENCE)
    assert len(PATHS) > 25


COMPARABLE = [path for path in PATHS if path.name not in {OVERWRITTEN, UNREADABLE}]


@pytest.mark.parametrize("path", COMPARABLE, ids=lambda path: path.stem)
def test_frames_are_those_that_pydicom_sees(codec_of, array_of, path) -> None:
    dataset, syntax = read(path), syntax_of(path)
    plugin, tolerance = REFERENCE[syntax]
    decoder = get_decoder(ROOT + syntax)
    if plugin not in decoder.available_plugins:
        pytest.skip(f"pydicom's plugin {plugin} is not installed")
    for index, codestream in enumerate(frames_of(dataset)[:3]):
        decoded = codec_of(syntax).decode(codestream, format_of(dataset))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected, meta = decoder.as_array(dataset, index=index, decoding_plugin=plugin)
        assert decoded.format.photometric_interpretation == meta["photometric_interpretation"]
        difference = np.abs(array_of(decoded).astype(int) - expected.astype(int))
        assert difference.max() <= tolerance


def test_a_frame_that_only_this_codec_reads(codec_of) -> None:
    (path,) = (each for each in PATHS if each.name == UNREADABLE)
    dataset = read(path)
    decoded = codec_of("51").decode(frames_of(dataset)[0], format_of(dataset))
    assert len(set(decoded.data)) > 50


def test_a_header_that_was_overwritten_is_refused(codec_of) -> None:
    (path,) = (each for each in PATHS if each.name == OVERWRITTEN)
    dataset = read(path)
    with pytest.raises(CodecError, match="tiles"):
        codec_of("91").decode(frames_of(dataset)[0], format_of(dataset))
