"""What `pacs extract` shows, compared with DCMTK's dcmj2pnm (PS3.3 C.7.6.3, C.7.9.2, C.9, C.11)."""

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset

from pacs_core.cli.main import main

pytestmark = pytest.mark.peer

RAMP = np.arange(4096, dtype="<u2").reshape(16, 256)
SIGNED = np.arange(-1024, 1024, dtype="<i2").reshape(8, 256)
INDICES = np.arange(256, dtype="u1").reshape(16, 16)
GREY = np.full((50, 60), 100, "u1")


def lut(vr, first, entries, bits):
    item = Dataset()
    item.add_new("LUTDescriptor", vr, [len(entries), first, bits])
    item.add_new("LUTData", "OW", entries.astype("<u2").tobytes())
    return item


def palette(bits, first, *tables, segments=0):
    found = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour, table in zip(("Red", "Green", "Blue"), tables, strict=True):
        name = f"{colour}PaletteColorLookupTable"
        found[f"{name}Descriptor"] = ("US", [segments or len(table), first, bits])
        key = f"Segmented{name}Data" if segments else f"{name}Data"
        found[key] = ("OW", np.array(table).astype("<u2").tobytes())
    return found


def overlay(origin):
    points = np.tile(np.eye(8, dtype=bool) | np.eye(8, dtype=bool)[::-1], (2, 2))
    data = np.packbits(points, bitorder="little").tobytes()
    return {
        "0x60000010": ("US", 16),
        "0x60000011": ("US", 16),
        "0x60000040": ("CS", "G"),
        "0x60000050": ("SS", list(origin)),
        "0x60000100": ("US", 1),
        "0x60000102": ("US", 0),
        "0x60003000": ("OW", data),
    }


HOUNSFIELD = {"RescaleSlope": 1, "RescaleIntercept": -1024}
RAISED = lut("SS", -1024, np.arange(40000, 42048), 16)
SEGMENTS = [0, 2, 0, 1000, 1, 100, 65535, 0, 1, 3, 1, 153, 20000]
WINDOW = {"WindowCenter": 1000, "WindowWidth": 500}
IN_FILE = ("+Wi", "1")

# Pixels, Bits Stored, attributes, options of dcmj2pnm, options of ours.
CASES = {
    "window": (RAMP, 12, WINDOW, IN_FILE, ()),
    "window of Hounsfield units": (
        RAMP,
        12,
        {**HOUNSFIELD, "WindowCenter": 40, "WindowWidth": 400},
        IN_FILE,
        (),
    ),
    "sigmoid": (RAMP, 12, {**WINDOW, "VOILUTFunction": "SIGMOID"}, IN_FILE, ()),
    "a window that is typed": (RAMP, 12, {}, ("+Ww", "500", "77"), ("--window", "500,77")),
    "lowest to highest": (RAMP[3:9], 12, {}, ("+Wm",), ()),
    "VOI LUT of signed output": (
        RAMP,
        12,
        {**HOUNSFIELD, "VOILUTSequence": [lut("SS", -1024, np.arange(2048) // 8, 8)]},
        ("+Wl", "1"),
        (),
    ),
    "VOI LUT after a Modality LUT": (
        SIGNED,
        16,
        {
            "ModalityLUTSequence": [RAISED],
            "VOILUTSequence": [lut("US", 40000, np.arange(2048) // 8, 8)],
        },
        ("+Wl", "1"),
        (),
    ),
    "MONOCHROME1": (RAMP, 12, {**WINDOW, "PhotometricInterpretation": "MONOCHROME1"}, IN_FILE, ()),
    "MONOCHROME1, INVERSE": (
        RAMP,
        12,
        {
            **WINDOW,
            "PhotometricInterpretation": "MONOCHROME1",
            "PresentationLUTShape": "INVERSE",
        },
        IN_FILE,
        (),
    ),
    "MONOCHROME2, INVERSE": (RAMP, 12, {**WINDOW, "PresentationLUTShape": "INVERSE"}, IN_FILE, ()),
    "palette": (
        INDICES,
        8,
        palette(16, 0, np.arange(256) * 257, np.arange(256)[::-1] * 257, np.arange(256) * 100),
        (),
        (),
    ),
    "palette from 11": (
        INDICES,
        8,
        palette(16, 11, [256, 512, 768], [10280, 12850, 15420], [65535, 0, 1799]),
        (),
        (),
    ),
    **{
        f"overlay at {origin}": (GREY, 8, overlay(origin), ("+O", "0"), ("--overlays",))
        for origin in ((1, 1), (-3, -5), (40, 50), (50, 60))
    },
}


@pytest.fixture
def write(tmp_path, make_ct):
    def write(pixels, bits, attributes):
        dataset = make_ct("1.2.826.0.1.8.1")
        dataset.Rows, dataset.Columns = pixels.shape
        dataset.BitsAllocated, dataset.BitsStored = 8 * pixels.itemsize, bits
        dataset.HighBit = bits - 1
        dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
        dataset.PixelData = pixels.tobytes()
        for keyword, value in attributes.items():
            if isinstance(value, tuple):
                dataset.add_new(keyword, *value)
            else:
                setattr(dataset, keyword, value)
        dataset.save_as(tmp_path / "made.dcm", enforce_file_format=True)
        return tmp_path / "made.dcm"

    return write


def pixels_of(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


@pytest.mark.parametrize("name", CASES)
def test_dcmj2pnm_shows_the_same(dcmtk, write, tmp_path, capsys, name):
    pixels, bits, attributes, theirs, ours = CASES[name]
    path = write(pixels, bits, attributes)
    dcmtk.run("dcmj2pnm", *(theirs or ("-W",)), "+on", path, tmp_path / "theirs.png")
    out = str(tmp_path / "ours.png")
    # Without a window of its own, dcmj2pnm shows all of Bits Stored.
    options = ours if theirs[:1] != ("+O",) else (*ours, "--window", "none")
    assert main(["extract", str(path), "-o", out, *options]) == 0
    assert capsys.readouterr().err == ""
    found, expected = pixels_of(out), pixels_of(tmp_path / "theirs.png")
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1
    assert len(np.unique(found)) > 1


def test_a_segmented_palette_is_what_dcmj2pnm_makes_of_its_entries(dcmtk, write, tmp_path):
    """PS3.3 C.7.9.2; dcmj2pnm knows no segments, so it gets them expanded by the rule."""
    entries = [0, 1000, *np.linspace(1000, 65535, 101)[1:], 3]
    entries = np.rint([*entries, *np.linspace(3, 20000, 154)[1:]]).astype(int)
    path = write(INDICES, 8, palette(16, 0, entries, entries, entries))
    dcmtk.run("dcmj2pnm", "-W", "+on", path, tmp_path / "theirs.png")
    path = write(INDICES, 8, palette(16, 0, SEGMENTS, SEGMENTS, SEGMENTS, segments=256))
    assert main(["extract", str(path), "-o", str(tmp_path / "ours.png")]) == 0
    found, expected = pixels_of(tmp_path / "ours.png"), pixels_of(tmp_path / "theirs.png")
    assert np.abs(found - expected).max() <= 1
