"""`pacs extract`: files, formats, and what is refused."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.pixels import pixel_array


@pytest.mark.parametrize(
    "name",
    [
        "CT_small.dcm",
        "MR_small_RLE.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "SC_rgb_rle.dcm",
        "examples_jpeg2k.dcm",
        "rtdose_rle.dcm",
        "SC_rgb_small_odd_big_endian.dcm",
        "image_dfl.dcm",
    ],
)
def test_stored_values_are_those_of_pydicom(extract, samples: Path, name: str) -> None:
    result = extract(samples / name, "-o", "values.npy")
    assert (result.code, result.out, result.err) == (0, "values.npy\n", "")
    reference = pixel_array(pydicom.dcmread(samples / name), index=0)
    values = np.load("values.npy").astype(int)
    assert values.shape == reference.shape
    tolerance = 1 if name == "examples_jpeg2k.dcm" else 0
    assert np.abs(values - reference.astype(int)).max() <= tolerance


def test_frames_are_counted_from_1(extract, samples: Path) -> None:
    source = samples / "SC_rgb_rle_2frame.dcm"
    frames = pixel_array(pydicom.dcmread(source))
    for number in (1, 2):
        assert extract(source, "--frame", number).out == f"SC_rgb_rle_2frame.{number}.png\n"
        with Image.open(f"SC_rgb_rle_2frame.{number}.png") as picture:
            assert (np.asarray(picture) == frames[number - 1]).all()
    for number in (0, 3, -1):
        result = extract(source, f"--frame={number}")
        assert result.code == 1
        assert result.err == f"pacs: {source}: there is no frame {number}: the image has 2\n"


@pytest.mark.parametrize(
    ("name", "kind"), [("a.png", "PNG"), ("a.jpg", "JPEG"), ("a.tif", "TIFF"), ("a.TIFF", "TIFF")]
)
def test_the_name_says_the_format(extract, samples: Path, name: str, kind: str) -> None:
    assert extract(samples / "CT_small.dcm", "-o", name).code == 0
    with Image.open(name) as picture:
        assert (picture.format, picture.size, picture.mode) == (kind, (128, 128), "L")


def test_rescaled_values(extract, samples: Path) -> None:
    source = samples / "CT_small.dcm"
    assert extract(source, "--format", "npy", "--rescale").code == 0
    dataset = pydicom.dcmread(source)
    assert (np.load("CT_small.1.npy") == dataset.pixel_array + dataset.RescaleIntercept).all()


def test_nothing_is_overwritten_unless_asked(extract, samples: Path, tmp_path: Path) -> None:
    (tmp_path / "there.png").write_text("mine")
    result = extract(samples / "CT_small.dcm", "-o", "there.png")
    assert result.code == 1
    assert result.err == "pacs: there.png exists; replace it with --overwrite\n"
    assert (tmp_path / "there.png").read_text() == "mine"
    assert extract(samples / "CT_small.dcm", "-o", "there.png", "--overwrite").code == 0


def test_what_is_refused(extract, samples: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no DICOM, but of some length, to be read as a dataset")
    content = (samples / "CT_small.dcm").read_bytes()
    (tmp_path / "cut.dcm").write_bytes(content[:-9000])
    (tmp_path / "void.dcm").write_bytes(b"")
    for source, reason in (
        ("notes.txt", "not a DICOM file"),
        ("void.dcm", "not a DICOM file"),
        ("cut.dcm", "Pixel Data ends after"),
        (samples / "rtplan.dcm", "no Pixel Data"),
        ("gone.dcm", "No such file"),
    ):
        result = extract(source)
        assert (result.code, result.out) == (1, "")
        assert reason in result.err
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", "cut.dcm", "void.dcm"}


def test_what_is_skipped_is_said(extract, write, ramp) -> None:
    path = write(ramp, 12, WindowCenter=[0, 1024], WindowWidth=[0, 2048])
    result = extract(path, "-o", "shown.png")
    assert (result.code, result.out) == (0, "shown.png\n")
    assert result.err == (
        f"pacs: {path}: window 1 is skipped: its width is 0, but a LINEAR window is at least 1 "
        "wide\n"
    )
    assert extract(path, "-o", "typed.png", "--window", "1024,2048").err == ""
    with Image.open("shown.png") as shown, Image.open("typed.png") as typed:
        assert (np.asarray(shown) == np.asarray(typed)).all()


def test_overlays_are_burnt_in_if_asked(extract, samples: Path) -> None:
    source = samples / "examples_overlay.dcm"
    dataset = pydicom.dcmread(source)
    points = dataset.overlay_array(0x6000).astype(bool)
    assert extract(source, "-o", "plain.png").code == 0
    assert extract(source, "-o", "burnt.png", "--overlays").code == 0
    with Image.open("plain.png") as plain, Image.open("burnt.png") as burnt:
        before, after = np.asarray(plain), np.asarray(burnt)
    assert points.any()
    assert (after[points] == 255).all()
    assert (after[~points] == before[~points]).all()


@pytest.mark.parametrize(
    "arguments", [["--format", "npy", "--overlays"], ["-o", "a.npy", "--window", "auto"]]
)
def test_values_are_not_shown(extract, samples: Path, arguments: list[str]) -> None:
    result = extract(samples / "CT_small.dcm", *arguments)
    assert (result.code, result.out) == (2, "")
    assert "are for pictures" in result.err


@pytest.mark.parametrize(
    "arguments", [["-o", "a.bmp"], ["--quality", "0"], ["--rescale"], ["--format", "gif"]]
)
def test_wrong_command_lines(extract, samples: Path, arguments: list[str]) -> None:
    assert extract(samples / "CT_small.dcm", *arguments).code == 2


def test_without_codecs(extract, samples: Path, tmp_path: Path) -> None:
    (tmp_path / "pacs.toml").write_text(
        '[plugins]\ndisabled = ["codec-basic", "codec-imagecodecs"]\n'
    )
    result = extract(samples / "MR_small_RLE.dcm")
    assert result.code == 1
    assert "no installed codec decodes RLE Lossless (install pacs-codec-basic)" in result.err
