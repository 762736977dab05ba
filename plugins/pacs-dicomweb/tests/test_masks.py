"""Masks of images and presentation states over the wire (PS3.3 C.7.6.10, C.11.13, C.11.19)."""

import numpy as np
import pytest

from pacs_core.testing.datasets import SampleStudy

from .test_presentation_states import item, store_state, window
from .test_rendered import path_of, picture, store_gradient

X_RAY_STATE = "1.2.840.10008.5.1.4.1.1.11.5"
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
        return show_frame(shared, run, state, frame)

    return show


def show_frame(web, image, state, frame):
    given = {
        "requestType": "WADO",
        "objectUID": image.sop_instance_uid,
        "contentType": "image/png",
        "presentationUID": state.SOPInstanceUID,
        "frameNumber": frame,
    }
    return np.asarray(picture(web.client.get("/wado", params=given))).astype(int)


@pytest.fixture
def present(shared, study, run):
    """Return a function that stores an XA/XRF state (A.33.6): what is shown of a frame.

    It has a mask, and displays for ranges of frames (C.11.21).
    """

    def present(frame, mask=None, displays=(), **values):
        _, state = store_state(
            shared,
            study,
            run,
            SOPClassUID=X_RAY_STATE,
            MaskSubtractionSequence=[] if mask is None else [mask],
            MultiFramePresentationSequence=[item(FrameDisplaySequence=list(displays))],
            SoftcopyVOILUTSequence=EXACT,
            **values,
        )
        return show_frame(shared, run, state, frame)

    return present


def display(first, last, mode, filtered=None, visible=None):
    return item(
        StartTrim=first,
        StopTrim=last,
        RecommendedViewingMode=mode,
        DisplayFilterPercentage=filtered,
        MaskVisibilityPercentage=visible,
    )


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


# --- XA/XRF Grayscale Softcopy Presentation States


def test_a_mask_of_an_x_ray_state_is_for_a_range_of_frames(present):
    """Applicable Frame Range (C.11.19): others are shown as they are."""
    mask = item(MaskOperation="AVG_SUB", MaskFrameNumbers=1, ApplicableFrameRange=[3, 4])
    assert (present(3, mask) == exact(1 + VESSEL)).all()
    assert (present(2, mask) == exact(BACKGROUND + 2)).all()


def test_the_mask_goes_back_as_the_frame_goes_forth(present):
    """REV_TID: the first frame of the range has the mask at the offset, each next one before it."""
    mask = item(MaskOperation="REV_TID", TIDOffset=1, ApplicableFrameRange=[3, 4])
    assert (present(3, mask) == exact(VESSEL - 1)).all()  # 3 less 2
    assert (present(4, mask) == exact(1 + 2 * VESSEL)).all()  # 4 less 1


def test_a_mask_is_shifted_in_a_range_and_in_a_region(present):
    """Pixel Shift Sequence (C.11.19): vertices are rows and columns."""
    region = item(MaskSubPixelShift=[0.0, 0.5], VerticesOfTheRegion=[1, 33, 1, 64, 32, 64, 32, 33])
    whole = item(MaskSubPixelShift=[0.0, 1.0])
    shifts = item(PixelShiftFrameRange=[3, 3], RegionPixelShiftSequence=[whole, region])
    mask = item(MaskOperation="AVG_SUB", MaskFrameNumbers=1, PixelShiftSequence=[shifts])
    shown = present(3, mask)
    assert (shown[:, 1:32] == exact(1 + VESSEL + 8)[:, 1:32]).all()
    assert (shown[:, 32:] == exact(1 + VESSEL + 4)[:, 32:]).all()
    assert (present(4, mask) == exact(1 + 2 * VESSEL)).all()


def test_a_display_says_whether_and_how_much_is_subtracted(present):
    """Recommended Viewing Mode and Mask Visibility Percentage of ranges (C.11.21)."""
    mask = item(MaskOperation="AVG_SUB", MaskFrameNumbers=1)
    displays = [display(1, 3, "NAT"), display(4, 4, "SUB", visible=75.0)]
    assert (present(3, mask, displays) == exact(BACKGROUND + 1 + VESSEL)).all()
    expected = BACKGROUND + 1 + 2 * VESSEL - 0.25 * BACKGROUND
    assert np.abs(present(4, mask, displays) - exact(expected)).max() <= 1


def test_edges_are_enhanced(present):
    """Display Filter Percentage (C.11.21): flat parts are left as they are."""
    mask = item(MaskOperation="AVG_SUB", MaskFrameNumbers=1)
    plain, enhanced = (
        present(3, mask, [display(1, 4, "SUB", filtered)]) for filtered in (None, 100.0)
    )
    flat = np.ones(SHAPE, bool)
    flat[9:21, 29:35] = False
    assert (enhanced[flat] == plain[flat]).all()
    assert (enhanced[15, 30], enhanced[15, 29]) == (exact(101 + 100 / 3), exact(1 - 100 / 3))
    native = present(3, displays=[display(1, 4, "NAT", 50.0)])
    assert native[15, 30] == exact(BACKGROUND[0, 30] + 101 + 100 / 6)


def test_the_shutter_of_an_x_ray_state(present):
    """Frame Display Shutter Sequence (C.11.20): its items are for images."""
    edges = item(
        ShutterShape="RECTANGULAR",
        ShutterLeftVerticalEdge=5,
        ShutterRightVerticalEdge=60,
        ShutterUpperHorizontalEdge=3,
        ShutterLowerHorizontalEdge=30,
        ShutterPresentationValue=0xFFFF,
    )
    shown = present(1, FrameDisplayShutterSequence=[edges])
    assert (shown[:2] == 255).all()
    assert (shown[2:30, 4:60] == exact(BACKGROUND)[2:30, 4:60]).all()


# --- what an image has itself


def test_masks_of_an_image_are_subtracted_only_if_asked_for(shared, study):
    """Mask Module (C.7.6.10): `viewingmode` has the terms of Recommended Viewing Mode."""
    image = store_gradient(
        shared,
        study,
        4,
        elements={
            (0x0028, 0x1050, "DS"): "0.5",
            (0x0028, 0x1051, "DS"): "510",
            (0x0028, 0x1056, "CS"): "LINEAR_EXACT",
            (0x0028, 0x1090, "CS"): "SUB",
            (0x0028, 0x6100, "SQ"): [item(MaskOperation="AVG_SUB", MaskFrameNumbers=1)],
            (0x7FE0, 0x0010, "OW"): FRAMES.astype("<u2").tobytes(),
        },
    )
    path = f"{path_of(image)}/frames/3/rendered"

    def shown(mode):
        answer = shared.get(path, "image/png", params={"viewingmode": mode} if mode else {})
        return np.asarray(picture(answer)).astype(int), answer.headers["etag"]

    (plain, tag), (same, _), (subtracted, other) = shown(""), shown("NAT"), shown("SUB")
    assert (plain == exact(BACKGROUND + 1 + VESSEL)).all()
    assert (same == plain).all()
    assert (subtracted == exact(1 + VESSEL)).all()
    assert tag != other
    assert shared.get(path, params={"viewingmode": "x"}).status_code == 400


# --- thumbnails


def test_the_thumbnail_of_a_state_is_of_its_image(shared, study, run):
    path, _ = store_state(
        shared,
        study,
        run,
        MaskSubtractionSequence=[item(MaskOperation="AVG_SUB", MaskFrameNumbers=2)],
        SoftcopyVOILUTSequence=EXACT,
    )
    for where in (path, path.rpartition("/instances")[0]):
        answer = shared.get(f"{where}/thumbnail", "image/png")
        shown = np.asarray(picture(answer)).astype(int)
        assert (shown == 126).all()  # a difference of -2, whatever its size
        known = {"If-None-Match": answer.headers["etag"]}
        again = shared.get(f"{where}/thumbnail", "image/png", headers=known)
        assert again.status_code == 304


def test_there_is_no_thumbnail_of_a_state_whose_image_is_not_here(shared, study, run):
    elsewhere = SampleStudy()
    path, _ = store_state(shared, elsewhere, run)
    assert shared.get(f"{path}/thumbnail").status_code == 404
