"""Regions blanked in pixels that are smaller than a byte, or stand in words the other way round.

PS3.5 8.1.1, 8.2.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st
from pacs_deidentify import ocr
from pacs_deidentify.blanking import blank_pixels
from pacs_deidentify.errors import DeidentificationError
from pacs_deidentify.files import open_file
from pacs_deidentify.regions import Region
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels import pack_bits, unpack_bits

from pacs_core.api.commands import main

from .samples import make_instance
from .test_compressed import CONFIG, EXPLICIT, RLE
from .test_files import BIG, DEFLATED, IMPLICIT, run, save

__all__ = ["run"]

REGION = Region(2, 1, 5, 4)
SIDE = st.integers(1, 19)


def make_bits(pixels: np.ndarray, photometric: str = "MONOCHROME2") -> Dataset:
    frames, rows, columns = pixels.shape
    made = make_instance(
        Rows=rows, Columns=columns, NumberOfFrames=frames, BitsAllocated=1, BitsStored=1, HighBit=0,
        PixelRepresentation=0, SamplesPerPixel=1, PhotometricInterpretation=photometric,
    )  # fmt: skip
    made.PixelData = pack_bits(pixels.ravel())
    made["PixelData"].VR = "OB"
    return made


def expected(pixels: np.ndarray, region: Region, black: int = 0) -> np.ndarray:
    blanked = pixels.copy()
    top, left = max(region.y, 0), max(region.x, 0)
    bottom, right = max(region.y + region.height, 0), max(region.x + region.width, 0)
    blanked[:, top:bottom, left:right] = black
    return blanked


@given(
    SIDE, SIDE, st.integers(1, 18), st.integers(0, 2**32),
    st.builds(Region, st.integers(-3, 20), st.integers(-3, 20), SIDE, SIDE),
    st.sampled_from(["MONOCHROME1", "MONOCHROME2"]),
)  # fmt: skip
def test_frames_that_begin_within_bytes(rows, columns, frames, seed, region, photometric) -> None:
    """Frames are packed without padding; what pydicom unpacks is blanked there and only there."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 2, (frames, rows, columns), np.uint8)
    dataset = make_bits(pixels, photometric)
    packed = bytearray(dataset.PixelData)
    used = -(-pixels.size // 8)
    if pixels.size % 8:  # what follows the last pixel may be anything
        packed[used - 1] |= 0xFF << pixels.size % 8 & 0xFF
    dataset.PixelData = bytes(packed)
    blank_pixels(dataset, [region])
    bits = unpack_bits(dataset.PixelData[:used])
    wanted = expected(pixels, region, int(photometric == "MONOCHROME1"))
    assert (bits[: pixels.size].reshape(pixels.shape) == wanted).all()
    assert not bits[pixels.size :].any()
    assert len(dataset.PixelData) == len(packed)


@pytest.fixture
def clean(run: Callable, tmp_path: Path) -> Callable[..., Dataset]:
    """Return what `pacs deidentify` makes of an image whose device writes text somewhere."""

    def clean_image(dataset: Dataset, syntax: str) -> Dataset:
        source = tmp_path / "in" / "a.dcm"
        if syntax == RLE:
            plain = save(tmp_path / "plain.dcm", dataset)
            source.parent.mkdir()
            assert main(["convert", str(plain), str(source), "-t", syntax]) == 0
        else:
            save(source, dataset, syntax)
        rule = f"[[{REGION.x}, {REGION.y}, {REGION.width}, {REGION.height}]]"
        (tmp_path / "pacs.toml").write_text(CONFIG.format("").replace("[[8, 4, 32, 10]]", rule))
        result = run("in", "out", "--config", "pacs.toml", "--report", "r", "--json")
        assert (result.code, result.err) == (0, "")
        return dcmread(tmp_path / "out" / json.loads(result.out)["target"])

    return clean_image


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, DEFLATED, RLE])
def test_files_of_single_bits(clean: Callable, tmp_path: Path, syntax: str) -> None:
    """What the command writes is what pydicom decodes."""
    pixels = np.random.default_rng(7).integers(0, 2, (19, 13, 11), np.uint8)
    made = clean(make_bits(pixels), syntax)
    assert made.file_meta.TransferSyntaxUID == syntax
    assert (made.BurnedInAnnotation, made.BitsAllocated) == ("NO", 1)
    if syntax == RLE:  # of which pydicom makes bytes
        native = tmp_path / "native.dcm"
        assert main(["convert", str(made.filename), str(native), "-t", EXPLICIT]) == 0
        made = dcmread(native)
    assert (made.pixel_array == expected(pixels, REGION)).all()


@pytest.mark.parametrize("columns", [12, 11])
def test_bytes_in_big_endian_words(clean: Callable, columns: int) -> None:
    """Samples of 8 bits in OW, Explicit VR Big Endian: the first is the second byte."""
    pixels = np.arange(13 * columns, dtype=np.uint8).reshape(1, 13, columns) + 1
    dataset = make_instance(
        Rows=13, Columns=columns, BitsAllocated=8, BitsStored=8, HighBit=7, PixelRepresentation=0
    )
    padded = pixels.tobytes() + b"\xee" * (pixels.size % 2)
    dataset.PixelData = np.frombuffer(padded, "<u2").astype(">u2").tobytes()
    dataset["PixelData"].VR = "OW"
    made = clean(dataset, BIG)
    assert (made.pixel_array == expected(pixels, REGION)[0]).all()
    assert b"\xee" not in made.PixelData


def test_single_bits_in_big_endian_words() -> None:
    pixels = np.random.default_rng(7).integers(0, 2, (1, 13, 11), np.uint8)
    dataset = make_bits(pixels)
    dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.set_original_encoding(is_implicit_vr=False, is_little_endian=False)
    blank_pixels(dataset, [REGION])
    little = np.frombuffer(dataset.PixelData, ">u2").astype("<u2").tobytes()
    found = unpack_bits(little)[: pixels.size].reshape(pixels.shape)
    assert (found == expected(pixels, REGION)).all()


def test_frames_within_big_endian_words_are_refused() -> None:
    dataset = make_bits(np.zeros((17, 3, 3), np.uint8))
    dataset["PixelData"].VR = "OW"
    dataset.set_original_encoding(is_implicit_vr=False, is_little_endian=False)
    with pytest.raises(DeidentificationError, match="within a big endian word"):
        blank_pixels(dataset, [REGION])


def test_text_is_looked_for_in_single_bits(tmp_path: Path, monkeypatch) -> None:
    """The engine is shown each frame as it is unpacked, wherever it begins."""
    shown: list[np.ndarray] = []
    monkeypatch.setattr(ocr, "_recognize", lambda picture: shown.append(picture) or ())
    pixels = np.random.default_rng(7).integers(0, 2, (19, 13, 11), np.uint8)
    with open_file(save(tmp_path / "a.dcm", make_bits(pixels))) as read:
        assert ocr.find_text(read) == []
    assert (np.array(shown) == pixels * 255).all()
