"""What is shown, compared with pydicom's own processing of the same files."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, pixel_array
from pydicom.sequence import Sequence


def shown(extract, path: Path, *arguments: object) -> np.ndarray:
    result = extract(path, "-o", "shown.png", "--overwrite", *arguments)
    assert (result.code, result.out, result.err) == (0, "shown.png\n", "")
    with Image.open("shown.png") as picture:
        return np.asarray(picture).astype(int)


def by_pydicom(path: Path) -> np.ndarray:
    """Return what pydicom makes of window and tables, scaled to 8 bits."""
    dataset = pydicom.dcmread(path)
    values = apply_modality_lut(pixel_array(dataset), dataset)
    slope, intercept = float(dataset.get("RescaleSlope", 1)), dataset.get("RescaleIntercept", 0)
    low = -(1 << (dataset.BitsStored - 1)) if dataset.PixelRepresentation else 0
    high = low + (1 << dataset.BitsStored) - 1
    bottom, top = low * slope + intercept, high * slope + intercept
    with np.errstate(over="ignore"):
        interest = apply_voi_lut(values, dataset)
    return np.rint((interest - bottom) / (top - bottom) * 255).astype(int)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID", None])
@pytest.mark.parametrize(("centre", "width"), [(40, 400), (-500, 1.5), (1000, 4096), (0, 1)])
def test_windows(extract, write, ramp, function, centre, width) -> None:
    more = {"VOILUTFunction": function} if function else {}
    path = write(
        ramp,
        12,
        WindowCenter=centre,
        WindowWidth=width,
        RescaleSlope=1,
        RescaleIntercept=-1024,
        **more,
    )
    difference = np.abs(shown(extract, path) - by_pydicom(path))
    assert difference.max() <= 1
    assert len(np.unique(by_pydicom(path))) > 1


@pytest.mark.parametrize("signed", [False, True])
def test_a_window_of_half_the_values(extract, write, ramp, signed) -> None:
    values = ramp.astype("<i2") - 2048 if signed else ramp
    path = write(values, 12)
    picture = shown(extract, path, "--window", "0,2048" if signed else "2048,2048")
    # PS3.3 C.11.2.1.2.1: black up to c - 0.5 - (w - 1) / 2, white beyond c - 0.5 + (w - 1) / 2
    assert picture.ravel()[1024] == 0
    assert picture.ravel()[3071] == 255
    assert (np.diff(picture.ravel()) >= 0).all()
    assert 126 <= picture.ravel()[2048] <= 129


def test_monochrome1_is_dark_where_values_are_high(extract, write, ramp) -> None:
    path = write(ramp, 12, "MONOCHROME1", WindowCenter=2048, WindowWidth=4096)
    other = write(ramp, 12, "MONOCHROME2", WindowCenter=2048, WindowWidth=4096)
    first = shown(extract, other)
    path = write(ramp, 12, "MONOCHROME1", WindowCenter=2048, WindowWidth=4096)
    assert np.abs(shown(extract, path) - (255 - first)).max() <= 1


def lut(count: int, first: int, bits: int, data: object, **more: object) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [count, first, bits])
    item.add_new("LUTData", "OW" if isinstance(data, bytes) else "US", data)
    for keyword, value in more.items():
        setattr(item, keyword, value)
    return item


@pytest.mark.parametrize("as_words", [False, True])
def test_voi_and_modality_luts(extract, write, ramp, as_words) -> None:
    squares = (np.arange(256) ** 2 // 16).astype("<u2")
    data = squares.tobytes() if as_words else [int(square) for square in squares]
    interest = lut(256, 100, 12, data)
    path = write(ramp, 12, VOILUTSequence=Sequence([interest]), WindowCenter=1, WindowWidth=2)
    expected = squares[np.clip(ramp.astype(int) - 100, 0, 255)]
    assert np.abs(shown(extract, path) - np.rint(expected / 4095 * 255)).max() <= 1
    modality = lut(256, 100, 12, data, ModalityLUTType="US")
    path = write(ramp, 12, ModalityLUTSequence=Sequence([modality]))
    assert extract(path, "--format", "npy", "--rescale", "-o", "values.npy").code == 0
    assert (np.load("values.npy") == expected).all()


def test_windows_of_functional_groups(extract, write, ramp) -> None:
    frames = []
    for centre in (100, 3000):
        window, group = Dataset(), Dataset()
        window.WindowCenter, window.WindowWidth = centre, 10
        group.FrameVOILUTSequence = Sequence([window])
        frames.append(group)
    shared, rescale = Dataset(), Dataset()
    rescale.RescaleSlope, rescale.RescaleIntercept = 2, 0
    shared.PixelValueTransformationSequence = Sequence([rescale])
    path = write(
        ramp,
        12,
        NumberOfFrames=2,
        PixelData=ramp.tobytes() * 2,
        PerFrameFunctionalGroupsSequence=Sequence(frames),
        SharedFunctionalGroupsSequence=Sequence([shared]),
    )
    for number, centre in ((1, 100), (2, 3000)):
        white = np.flatnonzero(shown(extract, path, "--frame", number).ravel() == 255)
        assert abs(white[0] - centre / 2) <= 5


def test_windows_are_chosen_by_number_and_name(extract, write, ramp) -> None:
    path = write(
        ramp,
        12,
        WindowCenter=[40, 2000],
        WindowWidth=[400, 100],
        WindowCenterWidthExplanation=["SOFT", "BONE"],
    )
    typed = shown(extract, path, "--window", "2000,100")
    assert (shown(extract, path, "--window", "2") == typed).all()
    assert (shown(extract, path, "--window", "BONE") == typed).all()
    assert (shown(extract, path) == shown(extract, path, "--window", "SOFT")).all()
    result = extract(path, "--window", "LUNG")
    assert result.code == 1
    assert "no window 'LUNG'; the image has 1 (SOFT: 40,400), 2 (BONE: 2000,100)" in result.err
    for odd in ("40,0", "40,nan", "1,2,3", "a,b"):
        assert extract(path, "--window", odd).code == 1


def test_the_whole_range_and_that_of_the_values(extract, write) -> None:
    values = np.array([[0, 101], [200, 1000]], "<u2")
    path = write(values, 10)
    assert shown(extract, path, "--window", "none").tolist() == [[0, 25], [50, 249]]
    assert shown(extract, path).tolist() == [[0, 26], [51, 255]]
    path = write(np.full((2, 2), 7, "u1"))
    assert len(np.unique(shown(extract, path))) == 1


def test_bits_above_bits_stored_are_no_part_of_values(extract, write, ramp) -> None:
    path = write((ramp | 0xF000).astype("<u2"), 12)
    assert extract(path, "--format", "npy").out == "made.1.npy\n"
    assert (np.load("made.1.npy") == ramp).all()


@pytest.mark.parametrize("bits", [8, 16])
def test_palettes(extract, samples: Path, write, bits: int) -> None:
    source = samples / "examples_palette.dcm"
    dataset = pydicom.dcmread(source)
    expected = apply_color_lut(pixel_array(dataset), dataset)
    assert np.abs(shown(extract, source) - np.rint(expected / 257)).max() <= 1
    indices = np.arange(4, dtype="u1").reshape(2, 2)
    data = bytes([0, 128, 255, 7]) if bits == 8 else np.array([0, 32896, 65535, 1799], "<u2")
    more = {}
    for colour in ("Red", "Green", "Blue"):
        more[f"{colour}PaletteColorLookupTableDescriptor"] = [4, 0, bits]
        more[f"{colour}PaletteColorLookupTableData"] = data if bits == 8 else data.tobytes()
    path = write(indices, 8, "PALETTE COLOR", **more)
    assert shown(extract, path)[..., 1].tolist() == [[0, 128], [255, 7]]


def test_colours(extract, samples: Path, write) -> None:
    rgb = pydicom.dcmread(samples / "SC_rgb_rle.dcm")
    assert (shown(extract, samples / "SC_rgb_rle.dcm") == pixel_array(rgb)).all()
    source = samples / "SC_ybr_full_422_uncompressed.dcm"
    reference = pixel_array(pydicom.dcmread(source), index=0)  # turned into RGB
    assert np.abs(shown(extract, source) - reference).max() <= 1
    wide = np.array([[[0, 65535, 32768]]], "<u2")
    assert shown(extract, write(wide, 16, "RGB")).tolist() == [[[0, 255, 128]]]


def test_single_bits(extract, samples: Path) -> None:
    source = samples / "liver_1frame.dcm"
    reference = pixel_array(pydicom.dcmread(source))
    assert (shown(extract, source, "--window", "none") == reference * 255).all()
