"""Text in pixels that is found by optical character recognition (PS3.15 E.3.1)."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st
from pacs_deidentify import ocr
from pacs_deidentify.blanking import native_layout
from pacs_deidentify.regions import Region
from PIL import Image, ImageDraw, ImageFont
from pydicom import dcmread
from pydicom.dataset import Dataset

from pacs_core.api.commands import main

from .samples import make_instance

SC = "1.2.840.10008.5.1.4.1.1.7"
KEY = "a key of some length"
LINES = ("RUIZ^MARISOL", "MRN 77120", "Mercy West 2023-08-17")
Run = Callable[..., tuple[int, str]]


def make_picture(size: int = 256, lines: tuple[str, ...] = LINES) -> Image.Image:
    """Return noise with lines of text, as devices burn them in."""
    noise = np.random.default_rng(7).normal(60, 12, (size, size)).clip(0, 255)
    picture = Image.fromarray(noise.astype(np.uint8))
    for number, line in enumerate(lines):
        font = ImageFont.load_default(size=14)
        ImageDraw.Draw(picture).text((10, 8 + 80 * number), line, fill=230, font=font)
    return picture


def save(path: Path, pixels: bytes, size: int, **more: object) -> Path:
    dataset = make_instance(
        SOPClassUID=SC, Modality="OT", Rows=size, Columns=size, PixelData=pixels,
        BitsAllocated=8, BitsStored=8, HighBit=7, PixelRepresentation=0, SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2", **more,
    )  # fmt: skip
    dataset.file_meta.MediaStorageSOPClassUID = SC
    if "NumberOfFrames" not in more and "NumberOfFrames" in dataset:
        del dataset.NumberOfFrames
    dataset["PixelData"].VR = "OB"
    dataset.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture
def run(capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `pacs deidentify --ocr`, where the engine finds what has the value 255."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PACS_CONFIG", raising=False)
    monkeypatch.setenv("PACS_DEIDENTIFY_KEY", KEY)
    monkeypatch.setattr("pacs_deidentify.command._can_read_pixels", lambda: True)
    monkeypatch.setattr("pacs_deidentify.ocr._recognize", find_white)

    def run_command(*arguments: object) -> tuple[int, str]:
        return main(["deidentify", *map(str, arguments), "--ocr"]), capsys.readouterr().err

    return run_command


def find_white(picture: ocr.Picture) -> list[Region]:
    rows, columns = np.nonzero(picture == 255)
    return [Region(int(x), int(y), 1, 1) for y, x in zip(rows, columns, strict=True)]


def test_what_is_found_is_blanked_in_all_frames_and_nothing_else(run: Run, tmp_path: Path) -> None:
    frames = bytearray(range(1, 65)) * 2
    frames[5] = frames[64 + 9] = 255
    source = save(tmp_path / "a.dcm", bytes(frames), 8, NumberOfFrames=2)
    assert run(source, "out", "--option", "clean-pixel-data") == (0, "")
    (made,) = map(dcmread, (tmp_path / "out").rglob("*.dcm"))
    for where in (5, 9, 64 + 5, 64 + 9):
        frames[where] = 0
    assert made.PixelData == bytes(frames)
    assert made.BurnedInAnnotation == "NO"


def test_without_the_option_it_is_refused_or_flagged(run: Run, tmp_path: Path) -> None:
    source = save(tmp_path / "a.dcm", bytes([255, *range(63)]), 8)
    code, err = run(source, "out")
    assert (code, "text was found in its pixels" in err) == (1, True)
    (tmp_path / "flag.toml").write_text(
        '[plugin.deidentify.profiles.flagging]\nburned_in = "flag"\n'
    )
    code, err = run(source, "out", "--profile", "flagging", "--config", "flag.toml")
    assert (code, "text was found in its pixels: look at it" in err) == (0, True)


def test_the_engine_is_asked_for_by_name(run: Run, tmp_path: Path, monkeypatch) -> None:
    source = save(tmp_path / "a.dcm", bytes(64), 8)
    monkeypatch.setattr("pacs_deidentify.command._can_read_pixels", lambda: False)
    code, err = run(source, "out")
    assert (code, "pip install 'pacs-deidentify[ocr]'" in err) == (2, True)


@given(
    values=st.lists(st.integers(-2048, 2047), min_size=12, max_size=12),
    is_signed=st.booleans(),
    samples=st.sampled_from([1, 3]),
    planar=st.booleans(),
    above=st.integers(0, 15),
)
def test_pictures_keep_the_order_of_values(
    values: list[int], is_signed: bool, samples: int, planar: bool, above: int
) -> None:
    """PS3.5 §8.1.1: of 16 bits 12 are stored, and those above them are none of the image."""
    dataset = Dataset()
    dataset.set_original_encoding(False, True)
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 2, 6 // samples, samples
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation, dataset.PlanarConfiguration = int(is_signed), int(planar)
    dataset.PhotometricInterpretation = "RGB" if samples == 3 else "MONOCHROME2"
    stored = [value if is_signed else value + 2048 for value in values]
    raw = np.array([value & 0xFFF | above << 12 for value in stored], "<u2")
    drawn = ocr.draw(raw.tobytes(), native_layout(dataset), dataset)
    order = np.moveaxis(drawn, -1, 0) if samples == 3 and planar else drawn
    flat = [int(value) for value in order.ravel()]
    assert (min(flat), max(flat)) in {(0, 255), (0, 0)}
    for one, other in zip(sorted(zip(stored, flat, strict=True)), sorted(flat), strict=True):
        assert one[1] == other


@pytest.mark.long
@pytest.mark.skipif(sys.version_info >= (3, 13), reason="the engine is for earlier ones")
def test_the_engine_finds_what_is_burnt_in(tmp_path: Path) -> None:
    """It is installed for this only, since few need what it brings."""
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("uv is not installed")
    engine = str(tmp_path / "engine")
    install = [uv, "pip", "install", "--quiet", "--python", sys.executable, "--target", engine]
    subprocess.run([*install, "rapidocr-onnxruntime>=1.4"], check=True)
    picture, without = make_picture(), make_picture(lines=())
    (tmp_path / "in").mkdir()
    save(tmp_path / "in" / "text.dcm", picture.tobytes(), 256)
    save(tmp_path / "in" / "none.dcm", without.tobytes(), 256, SOPInstanceUID="1.2.3")
    command = [sys.executable, "-m", "pacs_core.cli", "deidentify", tmp_path / "in",
               tmp_path / "out", "--ocr", "--option", "clean-pixel-data",
               "--option", "retain-uids"]  # fmt: skip
    paths = os.pathsep.join([engine, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    environment = {**os.environ, "PACS_DEIDENTIFY_KEY": KEY, "PYTHONPATH": paths}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    shutil.rmtree(engine)
    assert done.returncode == 0, done.stderr
    made = {each.stem: dcmread(each) for each in (tmp_path / "out").rglob("*.dcm")}
    assert made.pop("1.2.3").PixelData == without.tobytes()
    (blanked,) = made.values()
    pixels = np.frombuffer(blanked.PixelData, np.uint8).reshape(256, 256)
    assert not pixels[np.asarray(picture) != np.asarray(without)].any()
    assert (pixels == np.asarray(without)).mean() > 0.8
