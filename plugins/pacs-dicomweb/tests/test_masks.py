"""Masks of presentation states over the wire (PS3.3 C.11.13, C.7.6.10)."""

import numpy as np
import pytest

from pacs_core.testing.datasets import SampleStudy

from .test_presentation_states import item, store_state, window
from .test_rendered import path_of, picture, store_gradient

SHAPE = (32, 64)
BACKGROUND = np.tile(np.arange(64) * 8, (32, 1))
VESSEL = np.zeros(SHAPE, int)
VESSEL[10:20, 30:34] = 100
FRAMES = np.stack(
    [BACKGROUND, BACKGROUND + 2, BACKGROUND + 1 + VESSEL, BACKGROUND + 1 + 2 * VESSEL]
)
# A difference of n is shown as n / 2 + 127.25: of whole numbers, nothing between two greys.
EXACT = window(0.5, 510, VOILUTFunction="LINEAR_EXACT")


@pytest.fixture(scope="module")
def study():
    return SampleStudy()


@pytest.fixture(scope="module")
def run(shared, study):
    """Return an image of four frames: two masks, and two with contrast medium."""
    pixels = {(0x7FE0, 0x0010, "OW"): FRAMES.astype("<u2").tobytes()}
    return store_gradient(shared, study, 4, elements=pixels)


@pytest.fixture
def show(shared, study, run):
    """Return a function that stores a state with a mask: what is shown of a frame."""

    def show(frame, voi=EXACT, viewing="SUB", elements=None, **mask):
        _, state = store_state(
            shared,
            study,
            run,
            elements=elements,
            MaskSubtractionSequence=[item(**mask)],
            RecommendedViewingMode=viewing,
            SoftcopyVOILUTSequence=voi,
        )
        given = {
            "requestType": "WADO",
            "objectUID": run.sop_instance_uid,
            "contentType": "image/png",
            "presentationUID": state.SOPInstanceUID,
            "frameNumber": frame,
        }
        shown = picture(shared.client.get("/wado", params=given))
        return np.asarray(shown).astype(int)

    return show


def exact(difference):
    return np.clip(np.rint(difference / 2 + 127.25), 0, 255)


def test_the_mean_of_masks_is_subtracted_from_the_mean_of_frames(show):
    """AVG_SUB, with and without Contrast Frame Averaging (C.7.6.10.1)."""
    one = show(3, MaskOperation="AVG_SUB", MaskFrameNumbers=1)
    assert (one == exact(1 + VESSEL)).all()
    both = show(3, MaskOperation="AVG_SUB", MaskFrameNumbers=[1, 2], ContrastFrameAveraging=2)
    assert (both == exact(1.5 * VESSEL)).all()


def test_a_mask_at_an_interval(show):
    """TID: the mask is so many frames before, or after if the offset is negative; else 1."""
    assert (show(4, MaskOperation="TID", TIDOffset=2) == exact(2 * VESSEL - 1)).all()
    assert (show(3, MaskOperation="TID", TIDOffset=-1) == exact(-VESSEL)).all()
    assert (show(4, MaskOperation="TID", TIDOffset=None) == exact(VESSEL)).all()


def test_the_mask_is_shifted(show):
    """C.7.6.10.1.2: down, then to the right; half a pixel is half of what columns differ by."""
    shown = show(3, MaskOperation="AVG_SUB", MaskFrameNumbers=1, MaskSubPixelShift=[3.0, 0.5])
    assert (shown[:, 1:] == exact(1 + VESSEL + 4)[:, 1:]).all()
    assert (shown[:, 0] == 128).all()


def test_frames_that_the_mask_is_not_for_are_shown_as_they_are(show):
    """C.7.6.10.1.1: too few frames before or after, or no mode of subtraction."""
    plain = exact(BACKGROUND)
    assert (show(1, MaskOperation="TID", TIDOffset=2) == plain).all()
    last = show(4, MaskOperation="AVG_SUB", MaskFrameNumbers=1, ContrastFrameAveraging=2)
    assert (last == exact(BACKGROUND + 1 + 2 * VESSEL)).all()
    assert (show(1, viewing="NAT", MaskOperation="AVG_SUB", MaskFrameNumbers=2) == plain).all()
    assert (show(1, MaskOperation="NONE") == plain).all()


def test_the_modality_lut_of_the_state_comes_before(show):
    rescaled = {
        (0x28, 0x1052, "DS"): "-50",
        (0x28, 0x1053, "DS"): "2",
        (0x28, 0x1054, "LO"): "US",
    }
    shown = show(3, elements=rescaled, MaskOperation="AVG_SUB", MaskFrameNumbers=1)
    assert (shown == exact((1 + VESSEL) * 2)).all()


def test_a_moving_picture_of_differences(shared, study, run):
    path, _ = store_state(
        shared,
        study,
        run,
        MaskSubtractionSequence=[item(MaskOperation="AVG_SUB", MaskFrameNumbers=1)],
        RecommendedViewingMode="SUB",
    )
    moving = picture(shared.get(f"{path}/rendered", "image/gif"))
    assert moving.n_frames == 4
    moving.seek(3)
    last = np.asarray(moving.convert("L")).astype(int)
    # Without a window no difference would be 127.5, and the largest, 201, is white.
    assert np.abs(last - (1 + 2 * VESSEL) / 201 * 127.5 - 127.5).max() <= 2


@pytest.mark.parametrize(
    "mask",
    [
        {"MaskOperation": "AVG_SUB", "MaskFrameNumbers": 99},
        {"MaskOperation": "AVG_SUB", "MaskFrameNumbers": [1] * 20_000},
        {"MaskOperation": "TID", "TIDOffset": -32768, "ContrastFrameAveraging": 65535},
        {"MaskOperation": "AVG_SUB", "MaskFrameNumbers": 1, "MaskSubPixelShift": [1e30, 0.0]},
    ],
)
def test_masks_that_make_no_sense_harm_nobody(shared, study, run, mask):
    path, _ = store_state(shared, study, run, MaskSubtractionSequence=[item(**mask)])
    assert shared.get(f"{path}/rendered", "image/png").status_code < 500
    assert shared.get(f"{path_of(run)}/rendered").status_code == 200


def test_the_table_of_a_state_counts_for_x_ray_images_too(shared, study):
    """C.8.7.1.1.2: that of the image itself leads back to intensities, and is not for display."""
    table = item()
    table.add_new("LUTDescriptor", "US", [4096, 0, 16])
    table.add_new("LUTData", "OW", np.arange(4095, -1, -1).astype("<u2").tobytes())
    pixels = (BACKGROUND + VESSEL).astype("<u2").tobytes()
    image = store_gradient(shared, study, elements={(0x7FE0, 0x0010, "OW"): pixels}, modality="XA")
    path, _ = store_state(
        shared, study, image, ModalityLUTSequence=[table], SoftcopyVOILUTSequence=window(3995, 2)
    )
    shown = np.asarray(picture(shared.get(f"{path}/rendered", "image/png"))).astype(int)
    assert (shown[:, :12] == 255).all()
    assert (shown[:, 14:] == 0).all()
