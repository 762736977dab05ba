"""Images in every form, and their Pixel Data."""

from itertools import pairwise

import pytest

from pacs_core.contracts import FrameFormat
from pacs_core.imaging import Image


@pytest.fixture(scope="session")
def image():
    """Make an image of a frame format and a number of frames."""

    def make(frames=1, **changes):
        attributes = {
            "rows": 4,
            "columns": 4,
            "samples_per_pixel": 1,
            "bits_allocated": 8,
            "bits_stored": 8,
            "is_signed": False,
            "photometric_interpretation": "MONOCHROME2",
        }
        return Image(FrameFormat(**attributes | changes), frames)

    return make


@pytest.fixture(scope="session")
def cut():
    """Cut bytes at the given places."""

    def pieces(data, places):
        marks = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
        return [data[a:b] for a, b in pairwise(marks)]

    return pieces
