"""Instances with fewer frames than Number of Frames says, over the wire (PS3.3 C.7.6.6.1.2)."""

import io
import logging

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate, generate_fragments
from pydicom.uid import JPEGLSLossless, RLELossless

from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, file_meta
from pacs_core.testing.datasets import SampleStudy

from .test_rendered import path_of, picture

STOPPED = "The instance has 3 of the 5 frames that it says it has"
NATIVE = 'multipart/related; type="application/octet-stream"'
ANY = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'


def make(syntax=None, *, bits=16, has_table=True, cut=0):
    """Return an image that says that it has five frames, and has three of 4 rows and 8 columns."""
    made = SampleStudy().make("CT")
    head = file_meta(made.sop_class_uid, made.sop_instance_uid, EXPLICIT_VR_LITTLE_ENDIAN)
    dataset = pydicom.dcmread(io.BytesIO(head + made.encode()))
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = 4, 8, 3
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelRepresentation, dataset.PhotometricInterpretation = 0, "MONOCHROME2"
    dataset.WindowCenter, dataset.WindowWidth = "128", "256"
    if bits == 1:
        dataset.PixelData = b"\xff\xff\xff\xff\0\0\0\0\xff\xff\xff\xff"
    else:
        pixels = np.stack([np.full((4, 8), 80 * number, "u2") for number in (1, 2, 3)])
        dataset.PixelData = pixels.tobytes()[: len(pixels.tobytes()) - cut]
    if syntax:
        dataset.compress(syntax, generate_instance_uid=False)
        fragments = list(generate_fragments(dataset.PixelData))[1:]
        dataset.PixelData = encapsulate(fragments, has_bot=has_table)
    dataset.NumberOfFrames = 5
    out = io.BytesIO()
    dataset.save_as(out)
    return made, out.getvalue()


@pytest.fixture(
    scope="module",
    params=[
        {},
        {"syntax": JPEGLSLossless},
        {"syntax": JPEGLSLossless, "has_table": False},
        {"syntax": RLELossless},
        {"syntax": RLELossless, "has_table": False},
    ],
    ids=["native", "jpeg-ls", "jpeg-ls-no-table", "rle", "rle-no-table"],
)
def path(request, shared):
    made, content = make(**request.param)
    assert shared.store(content).status_code == 200
    return path_of(made)


def mean(response):
    return np.asarray(picture(response).convert("L")).mean()


class TestFrames:
    def test_those_that_there_are(self, shared, path, wire):
        for number in (3, 1, 2):
            (part,) = wire.read_parts(shared.get(f"{path}/frames/{number}", NATIVE))
            assert np.frombuffer(part[1], "<u2").tolist() == [80 * number] * 32
            response = shared.get(f"{path}/frames/{number}", ANY)
            assert (response.status_code, "warning" in response.headers) == (200, False)

    @pytest.mark.parametrize("numbers", ["4", "5", "4,5", "6", "1,6", "999999999"])
    def test_those_that_there_are_not(self, shared, path, numbers):
        """PS3.18 Table 10.4.3-1: what is not there is not found."""
        for accept in (NATIVE, ANY):
            response = shared.get(f"{path}/frames/{numbers}", accept)
            assert response.status_code == 404
            assert "the instance has 3" in response.text
            assert "Number of Frames is 5" in response.text
        response = shared.get(f"{path}/frames/{numbers}/rendered")
        assert response.status_code == 404, response.text

    def test_some_of_a_list(self, shared, path, wire, caplog):
        """206: not all of it (PS3.18 Table 8.5-1)."""
        with caplog.at_level(logging.WARNING):
            response = shared.get(f"{path}/frames/2,3,4,5", NATIVE)
        assert response.status_code == 206
        assert STOPPED in response.headers["warning"]
        values = [np.frombuffer(body, "<u2")[0] for _, body in wire.read_parts(response)]
        assert values == [160, 240]
        assert "has 3 of 5 frames" in caplog.text
        response = shared.get(f"{path}/frames/3,4", NATIVE)
        assert response.status_code == 206
        (part,) = wire.read_parts(response)
        assert np.frombuffer(part[1], "<u2")[0] == 240


class TestRendered:
    def test_all_that_there_are(self, shared, path):
        response = shared.get(f"{path}/rendered", "image/gif")
        assert response.status_code == 206
        assert STOPPED in response.headers["warning"]
        moving = picture_of_some(response)
        assert moving.n_frames == 3

    def test_first(self, shared, path):
        response = shared.get(f"{path}/frames/1/rendered", "image/png")
        assert "warning" not in response.headers
        assert 70 < mean(response) < 90

    def test_thumbnail(self, shared, path):
        assert 70 < mean(shared.get(f"{path}/thumbnail")) < 90
        assert 230 < mean(shared.get(f"{path}/frames/3/thumbnail")) < 250
        assert shared.get(f"{path}/frames/4/thumbnail").status_code == 404

    def test_list(self, shared, path, wire):
        accept = 'multipart/related; type="image/png"'
        response = shared.get(f"{path}/frames/3,4/rendered", accept)
        assert (response.status_code, len(wire.read_parts(response))) == (206, 1)

    def test_uri(self, shared, path):
        uid = path.rpartition("/")[2]
        wado = f"/wado?requestType=WADO&objectUID={uid}&contentType=image/png&frameNumber="
        assert 230 < mean(shared.get(f"{wado}3")) < 250
        assert shared.get(f"{wado}4").status_code == 404


def picture_of_some(response):
    response.status_code = 200
    return picture(response)


def test_the_last_is_cut(shared, wire):
    made, content = make(cut=10)
    shared.store(content)
    (part,) = wire.read_parts(shared.get(f"{path_of(made)}/frames/2", NATIVE))
    assert len(part[1]) == 64
    response = shared.get(f"{path_of(made)}/frames/3", NATIVE)
    assert (response.status_code, "has 2" in response.text) == (404, True)


def test_not_even_one(shared):
    made, content = make(cut=130)
    shared.store(content)
    for resource in ("frames/1", "rendered"):
        assert shared.get(f"{path_of(made)}/{resource}", "*/*").status_code == 406


def test_single_bits(shared, wire):
    made, content = make(bits=1)
    shared.store(content)
    (part,) = wire.read_parts(shared.get(f"{path_of(made)}/frames/3", NATIVE))
    assert part[1] == b"\xff" * 4
    assert shared.get(f"{path_of(made)}/frames/4", NATIVE).status_code == 404


def test_a_great_many_that_there_are_not(shared):
    made, content = make()
    said = b"(\0\x08\0IS\x02\x005 "
    assert content.count(said) == 1
    shared.store(content.replace(said, b"(\0\x08\0IS\x0a\x002147483647"))
    response = shared.get(f"{path_of(made)}/rendered", "image/gif")
    assert shared.get(f"{path_of(made)}/frames/2", NATIVE).status_code == 200
    assert response.status_code in {200, 206}
