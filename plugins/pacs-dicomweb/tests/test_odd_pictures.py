"""Pictures of what other servers and viewers show wrongly, or not at all."""

import numpy as np
import pytest

from pacs_core.testing.datasets import SampleStudy

from .test_presentation_states import item
from .test_rendered import picture
from .test_reports import PARAMETRIC_MAP, store

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
NATIVE_422 = {
    "Rows": 2,
    "Columns": 4,
    "SamplesPerPixel": 3,
    "PlanarConfiguration": 0,
    "BitsAllocated": 8,
    "BitsStored": 8,
    "HighBit": 7,
    "PixelRepresentation": 0,
    "PhotometricInterpretation": "YBR_FULL_422",
}


def store_map(web, keyword, values, **more):
    kind = {"FloatPixelData": "<f4", "DoubleFloatPixelData": "<f8"}[keyword]
    stored = np.asarray(values, kind)
    described = {
        "Rows": stored.shape[-2],
        "Columns": stored.shape[-1],
        "NumberOfFrames": 1,
        "BitsAllocated": 8 * stored.itemsize,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        keyword: stored.tobytes(),
    }
    return store(web, SampleStudy(), PARAMETRIC_MAP, **described, **more)


@pytest.mark.parametrize("keyword", ["FloatPixelData", "DoubleFloatPixelData"])
def test_floats_are_numbers(shared, keyword):
    """PS3.3 C.7.6.24, .25: their bits were shown as if they were integers."""
    values = np.tile(np.linspace(-0.25, 0.5, 16), (4, 1))
    path = store_map(shared, keyword, values)
    shown = np.asarray(picture(shared.get(f"{path}/rendered", "image/png"))).astype(int)
    assert np.abs(shown - (values + 0.25) / 0.75 * 255).max() <= 1
    window = "0.125,0.25,linear-exact"
    narrow = picture(shared.get(f"{path}/rendered", "image/png", params={"window": window}))
    expected = np.clip(values / 0.25, 0, 1) * 255
    assert np.abs(np.asarray(narrow).astype(int) - expected).max() <= 1


def test_floats_that_are_no_values(shared):
    """What is not finite, and padding (PS3.3 C.7.6.24.1.1), is black and widens no window."""
    values = [[np.nan, np.inf, -np.inf, -1e30], [0, 1, 2, 4]]
    padding = float(np.float32(-1e30))
    path = store_map(shared, "FloatPixelData", values, FloatPixelPaddingValue=padding)
    shown = np.asarray(picture(shared.get(f"{path}/rendered", "image/png"))).astype(int)
    assert np.abs(shown - [[0, 0, 0, 0], [0, 64, 128, 255]]).max() <= 1


def test_floats_of_nothing_but_padding(shared):
    path = store_map(shared, "FloatPixelData", [[np.nan, np.nan], [np.nan, np.nan]])
    assert not np.asarray(picture(shared.get(f"{path}/rendered", "image/png"))).any()


def test_native_pixels_that_share_chroma(shared):
    """PS3.3 C.7.6.3.1.2: Y1, Y2, Cb, Cr are two pixels; their picture could not be had."""
    red, blue = [76, 76, 85, 255], [29, 29, 255, 107]
    rows = bytes([*red, *blue, *blue, *red])
    path = store(shared, SampleStudy(), SECONDARY_CAPTURE, **NATIVE_422, PixelData=rows)
    for resource in ("rendered", "frames/1/rendered", "thumbnail"):
        shown = np.asarray(picture(shared.get(f"{path}/{resource}", "image/png"))).astype(int)
        height, width = shown.shape[:2]
        corners = shown[[0, 0, -1, -1], [0, -1, 0, -1]]
        expected = [(254, 0, 0), (0, 0, 254), (0, 0, 254), (254, 0, 0)]
        assert np.abs(corners - expected).max() <= 3, (resource, height, width)
    octets = shared.get(f"{path}/frames/1", "application/octet-stream")
    assert octets.content == rows


def test_sequences_that_nest_deeply(shared):
    """What does not say how a picture looks is no reason that there is none."""
    nested = item(ScheduledProcedureStepID="S1")
    for _ in range(60):
        nested = item(RequestAttributesSequence=[nested])
    greys = {
        **NATIVE_422,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "PixelData": bytes(range(8)),
        "RequestAttributesSequence": [nested],
    }
    path = store(shared, SampleStudy(), SECONDARY_CAPTURE, **greys)
    assert picture(shared.get(f"{path}/rendered", "image/png")).size == (4, 2)
