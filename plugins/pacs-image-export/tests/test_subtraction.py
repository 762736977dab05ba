"""Subtraction of masks, against arrays computed by hand (PS3.3 C.7.6.10, PS3.4 N.2)."""

import io

import numpy as np
import pytest
from pacs_image_export.pictures import make_picture
from PIL import Image

from pacs_core.contracts import Frame, FrameFormat, RenderingError, RenderingOptions, Subtraction
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, encode_attributes, tag_of

FORMAT = FrameFormat(2, 3, 1, 16, 12, False, "MONOCHROME2")
BACKGROUND = np.array([[100, 200, 300], [400, 500, 600]])
VESSEL = np.array([[0, 40, 0], [0, 40, 80]])
# Makes half of a difference, above 127.25: of whole numbers, nothing between two greys.
WINDOW = (0.5, 510.0, "LINEAR_EXACT")


def frame(number, values, form=FORMAT):
    return Frame(number, values.astype("<u2").tobytes(), EXPLICIT_VR_LITTLE_ENDIAN, form)


FRAMES = [
    frame(1, BACKGROUND),
    frame(2, BACKGROUND + 10),
    frame(3, BACKGROUND + 5 + VESSEL),
    frame(4, BACKGROUND + 5 + 3 * VESSEL),
]


def shown(subtraction, window=WINDOW, frames=FRAMES, **header):
    given = {"Rows": "2", "Columns": "3", **header}
    encoded = encode_attributes(
        {tag_of(name): (value,) for name, value in given.items()}, EXPLICIT_VR_LITTLE_ENDIAN
    )
    options = RenderingOptions(window=window, subtractions=(subtraction,))
    picture = Image.open(io.BytesIO(make_picture(encoded, frames, options)))
    return np.asarray(picture).astype(int).tolist()


@pytest.mark.parametrize(
    ("subtraction", "header", "expected"),
    [
        # 5 + vessel: (5 + 0) / 2 + 127.25 is 130, and 20 or 40 more where the vessel is.
        (Subtraction((3,), (1,)), {}, [[130, 150, 130], [130, 150, 170]]),
        # The mean of two masks is 5 above the background: nothing but the vessel is left.
        (Subtraction((3,), (1, 2)), {}, [[127, 147, 127], [127, 147, 167]]),
        # The mean of two contrast frames has the vessel twice.
        (Subtraction((3, 4), (1,)), {}, [[130, 170, 130], [130, 170, 210]]),
        # Differences have a sign.
        (Subtraction((1,), (3,)), {}, [[125, 105, 125], [125, 105, 85]]),
        # Subtraction comes after the rescaling, whose intercept cancels out.
        (
            Subtraction((3,), (1,)),
            {"RescaleSlope": "2", "RescaleIntercept": "-1000"},
            [[132, 172, 132], [132, 172, 212]],
        ),
        # Presentation LUT Shape comes last.
        (
            Subtraction((3,), (1,)),
            {"PresentationLUTShape": "INVERSE"},
            [[125, 105, 125], [125, 105, 85]],
        ),
    ],
)
def test_differences(subtraction, header, expected):
    assert shown(subtraction, **header) == expected


@pytest.mark.parametrize(
    ("shift", "moved"),
    [
        # The mask, moved; the edge is repeated.
        ((0.0, 1.0), [[100, 100, 200], [400, 400, 500]]),
        ((0.0, -1.0), [[200, 300, 300], [500, 600, 600]]),
        ((1.0, 0.0), [[100, 200, 300], [100, 200, 300]]),
        ((-1.0, 0.0), [[400, 500, 600], [400, 500, 600]]),
        ((0.0, 0.5), [[100, 150, 250], [400, 450, 550]]),
        ((0.25, 0.0), [[100, 200, 300], [325, 425, 525]]),
        ((1e6, -1e6), [[300, 300, 300], [300, 300, 300]]),
    ],
)
def test_a_positive_shift_is_down_and_to_the_right(shift, moved):
    """PS3.3 C.7.6.10.1.2; what lies between pixels is interpolated."""
    difference = 5 + VESSEL + BACKGROUND - np.array(moved)
    expected = np.clip(np.rint(difference / 2 + 127.25), 0, 255).astype(int).tolist()
    assert shown(Subtraction((3,), (1,), shift)) == expected


def test_no_difference_is_the_grey_in_the_middle():
    """Without a window: 80 is the largest difference, of either sign."""
    assert shown(Subtraction((3,), (1,)), None, [FRAMES[0], frame(3, BACKGROUND + VESSEL)]) == [
        [128, 191, 128],
        [128, 191, 255],
    ]
    nothing = shown(Subtraction((1,), (1,)), None)
    assert nothing == [[128] * 3] * 2


def test_without_a_mask_contrast_frames_are_averaged():
    mean = shown(Subtraction((1, 2)), (305.5, 510.0, "LINEAR_EXACT"))
    assert mean == [[27, 77, 127], [177, 227, 255]]


def test_signed_samples():
    form = FrameFormat(2, 3, 1, 16, 16, True, "MONOCHROME2")
    frames = [frame(1, -BACKGROUND, form), frame(2, -BACKGROUND - 5 - VESSEL, form)]
    assert shown(Subtraction((2,), (1,)), frames=frames) == [[125, 105, 125], [125, 105, 85]]


def test_what_cannot_be_subtracted_is_refused():
    colour = FrameFormat(1, 1, 3, 8, 8, False, "RGB")
    frames = [Frame(n, bytes(3), EXPLICIT_VR_LITTLE_ENDIAN, colour) for n in (1, 2)]
    for subtraction, given in (
        (Subtraction((3,), (9,)), FRAMES),
        (Subtraction((9,), (1,)), FRAMES),
        (Subtraction((), (1,)), FRAMES),
        (Subtraction((1,), (2,)), frames),
    ):
        with pytest.raises(RenderingError):
            shown(subtraction, frames=given)
