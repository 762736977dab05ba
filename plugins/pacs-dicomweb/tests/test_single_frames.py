"""One frame of many: neither is the instance decoded for it, nor read (PS3.18 §10.4.1.1.6)."""

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.uid import JPEGLSLossless

from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, file_meta
from pacs_core.testing.datasets import SampleStudy

FRAMES, ROWS, COLUMNS = 64, 256, 128
WELL = 40


def read_by_this_process():
    """Return how many bytes the process, and with it the node, has read from files."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["rchar"])


@pytest.fixture(scope="module", params=["basic offset table", "extended", "none"])
def cine(shared, request):
    """An instance of many frames of which only one can be decoded; and the pixels of that one."""
    made = SampleStudy().make("CT")
    meta = file_meta(made.sop_class_uid, made.sop_instance_uid, EXPLICIT_VR_LITTLE_ENDIAN)
    dataset = pydicom.dcmread(io.BytesIO(meta + made.encode()))
    pixels = np.random.default_rng(7).integers(0, 4096, (FRAMES, ROWS, COLUMNS), "u2")
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = ROWS, COLUMNS, FRAMES
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation, dataset.PhotometricInterpretation = 0, "MONOCHROME2"
    dataset.PixelData = pixels.tobytes()
    dataset.compress(JPEGLSLossless, generate_instance_uid=False)
    frames = list(generate_frames(dataset.PixelData, number_of_frames=FRAMES))
    damaged = [
        frame if number == WELL else b"\xff\xd8\xff\xf7" + bytes(len(frame) - 4)
        for number, frame in enumerate(frames, 1)
    ]
    if request.param == "extended":
        encoded = encapsulate_extended(damaged)
        dataset.PixelData, dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = encoded
    else:
        dataset.PixelData = encapsulate(damaged, has_bot=request.param == "basic offset table")
    out = io.BytesIO()
    dataset.save_as(out)
    assert shared.store(out.getvalue()).status_code == 200
    values = made.values
    path = (
        f"/studies/{values['StudyInstanceUID']}/series/{values['SeriesInstanceUID']}"
        f"/instances/{values['SOPInstanceUID']}"
    )
    return path, pixels[WELL - 1], len(out.getvalue())


def asked(shared, path, accept):
    """Return the answer to a request, and how much was read for it."""
    before = read_by_this_process()
    response = shared.get(path, accept)
    return response, read_by_this_process() - before


def test_frames_that_are_not_asked_for_are_neither_decoded_nor_read(shared, cine):
    path, pixels, size = cine
    for number in (1, WELL - 1, WELL + 1, FRAMES):
        for what in ("", "/rendered", "/thumbnail"):
            assert shared.get(f"{path}/frames/{number}{what}").status_code == 406
    frame, read = asked(shared, f"{path}/frames/{WELL}", "application/octet-stream")
    assert frame.content == pixels.tobytes()
    assert read < size / 4
    rendered, read = asked(shared, f"{path}/frames/{WELL}/rendered", "image/png")
    assert Image.open(io.BytesIO(rendered.content)).size == (COLUMNS, ROWS)
    assert read < size / 4
    thumbnail, read = asked(shared, f"{path}/frames/{WELL}/thumbnail", "image/png")
    assert max(Image.open(io.BytesIO(thumbnail.content)).size) == 128
    assert read < size / 4
    whole, read = asked(shared, path, "application/dicom; transfer-syntax=*")
    assert len(whole.content) >= size * 0.99
    assert read >= size * 0.99  # what is read is seen


def test_what_shows_one_frame_of_an_instance_reads_one(shared, cine):
    path, _, size = cine
    for what, accept in (("/thumbnail", "image/jpeg"), ("/rendered", "image/png")):
        response, read = asked(shared, path + what, accept)
        assert response.status_code == 406  # it is the first, which is damaged
        assert read < size / 4
    assert shared.is_well()
