"""Retired processes of JPEG that DCMTK still writes: spectral selection and full progression.

PS3.6 Table A-1: 1.2.840.10008.1.2.4.53 and .55; PS3.5 §A.4.1 no longer has them.
"""

import subprocess
import sys

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

pytestmark = pytest.mark.peer

PROCESSES = {"+es": "1.2.840.10008.1.2.4.53", "+ep": "1.2.840.10008.1.2.4.55"}


def pacs(*arguments):
    command = [sys.executable, "-m", "pacs_core.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.fixture
def source(tmp_path):
    """Return a function that writes a smooth image of so many bits."""

    def write(bits, colour):
        image = dcmread(get_testdata_file("CT_small.dcm"))
        image.remove_private_tags()
        if colour:
            image.PlanarConfiguration = 0
        image.SamplesPerPixel = 3 if colour else 1
        image.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
        image.PixelRepresentation = 0
        image.BitsAllocated, image.BitsStored = (8, 8) if bits == 8 else (16, bits)
        image.HighBit = bits - 1
        rows, columns = np.indices((image.Rows, image.Columns))
        smooth = ((rows + columns) * (1 << bits) // 260).astype("u1" if bits == 8 else "<u2")
        pixels = np.stack([smooth, smooth[::-1], smooth.T], -1) if colour else smooth
        image.PixelData = pixels.tobytes()
        for keyword in ("PixelPaddingValue", "SmallestImagePixelValue", "LargestImagePixelValue"):
            image.pop(keyword, None)
        path = tmp_path / "source.dcm"
        image.save_as(path)
        return path, pixels

    return write


@pytest.mark.parametrize(("bits", "colour"), [(8, False), (8, True), (12, False)])
@pytest.mark.parametrize("option", PROCESSES)
def test_progressive_jpeg_is_decoded(dcmtk, source, tmp_path, option, bits, colour):
    path, pixels = source(bits, colour)
    encoded, ours, theirs = (tmp_path / f"{name}.dcm" for name in ("encoded", "ours", "theirs"))
    dcmtk.run("dcmcjpeg", option, "+q", "95", path, encoded)
    assert dcmread(encoded).file_meta.TransferSyntaxUID == PROCESSES[option]
    dcmtk.run("dcmdjpeg", encoded, theirs)
    done = pacs("convert", encoded, ours, "-t", "explicit")
    assert done.returncode == 0, done.stderr
    found, expected = (dcmread(each).pixel_array.astype(int) for each in (ours, theirs))
    assert np.abs(found - pixels).max() <= (12 if bits == 8 else 24)
    assert np.abs(found - expected).max() <= (6 if colour else 2)
    refused = pacs("convert", path, tmp_path / "none.dcm", "-t", PROCESSES[option], "--lossy")
    assert refused.returncode != 0
    assert "encodes" in refused.stderr
