"""`pacs extract` of folders: what it writes is what it writes of one file after the other."""

import shutil
from pathlib import Path

import pytest
from PIL import Image
from pydicom import dcmread

from pacs_core.api.file_commands import NOTHING

IMAGES = (
    "CT_small.dcm", "MR_small_RLE.dcm", "MR_small_jpeg_ls_lossless.dcm", "SC_rgb_rle_2frame.dcm",
    "examples_jpeg2k.dcm", "image_dfl.dcm",
)  # fmt: skip
OTHERS = ("test-SR.dcm", "README.txt", "rtplan.dcm")


@pytest.fixture
def folder(samples: Path, tmp_path: Path) -> Path:
    made = tmp_path / "in"
    (made / "below").mkdir(parents=True)
    for number in range(4):
        for name in IMAGES:
            shutil.copy(samples / name, made / ("below" if number % 2 else "") / f"{number}{name}")
    for name in OTHERS:
        shutil.copy(samples / name, made / name)
    return made


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("form", ["png", "npy"])
def test_pictures_are_those_of_single_files(
    extract, folder: Path, tmp_path: Path, form: str, jobs: int
) -> None:
    singles = {}
    for name in IMAGES:
        assert extract(folder / f"0{name}", "-o", f"one.{form}", "--overwrite").code == 0
        singles[name] = Path(f"one.{form}").read_bytes()
    result = extract(folder, "-o", "out", "--format", form, "--jobs", jobs)
    assert (result.code, result.out, result.err) == (0, f"{4 * len(IMAGES)} files written\n", "")
    made = {
        each.relative_to(tmp_path / "out"): each.read_bytes()
        for each in (tmp_path / "out").rglob("*")
        if each.is_file()
    }
    assert made == {
        Path("below" if number % 2 else "") / f"{number}{Path(name).stem}.1.{form}": singles[name]
        for number in range(4)
        for name in IMAGES
    }


def test_what_fails_is_said_in_order_and_the_rest_is_written(
    extract, folder: Path, tmp_path: Path
) -> None:
    for name in ("1CT_small.dcm", "3CT_small.dcm"):
        broken = dcmread(folder / "below" / name)
        broken.PixelData = broken.PixelData[:100]
        broken.save_as(folder / "below" / name)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "0CT_small.1.jpeg").write_text("mine")
    result = extract(folder, "-o", "out", "--format", "jpeg")
    assert (result.code, result.out) == (1, f"{4 * len(IMAGES) - 3} files written\n")
    names = [line.split(": ")[1] for line in result.err.splitlines()]
    assert names == [str(folder / name) for name in (
        "0CT_small.dcm", "below/1CT_small.dcm", "below/3CT_small.dcm"
    )]  # fmt: skip
    assert (tmp_path / "out" / "0CT_small.1.jpeg").read_text() == "mine"
    assert extract(folder, "-o", "out", "--format", "jpeg", "--overwrite").code == 1
    with Image.open(tmp_path / "out" / "0CT_small.1.jpeg") as picture:
        assert picture.format == "JPEG"
    assert not list((tmp_path / "out").rglob("*.part"))


def test_folders_without_images_or_outputs(extract, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("none")
    assert extract(tmp_path / "in").code == 2
    assert extract(tmp_path / "in", "-o", "out").code == NOTHING
    assert not (tmp_path / "out").exists()
