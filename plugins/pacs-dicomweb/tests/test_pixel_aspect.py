"""Images whose pixels are no squares, over the wire (PS3.3 C.7.6.3.1.7, C.10.4)."""

import numpy as np
import pytest
from pydicom import Dataset

from pacs_core.testing.datasets import SampleStudy

from .test_presentation_states import area, item, reference, store_state
from .test_rendered import path_of, picture, store_gradient

SPACING, IMAGER, SCANNED, RATIO = (
    (0x0028, 0x0030, "DS"),
    (0x0018, 0x1164, "DS"),
    (0x0018, 0x2010, "DS"),
    (0x0028, 0x0034, "IS"),
)
SHARED, PER_FRAME = (0x5200, 0x9229, "SQ"), (0x5200, 0x9230, "SQ")


def measures(*spacing):
    return item(PixelMeasuresSequence=[item(PixelSpacing=list(spacing))])


def blank(columns, rows, **more):
    pixels = bytes(2 * rows * columns)
    return SampleStudy().make("CT", Rows=str(rows), Columns=str(columns), PixelData=pixels, **more)


def size_of(web, path, query=""):
    return picture(web.get(f"{path}/rendered{query}", "image/png")).size


@pytest.mark.parametrize(
    ("elements", "size"),
    [
        ({RATIO: [6, 5]}, (64, 38)),
        ({RATIO: [1, 2]}, (128, 32)),
        ({SPACING: [0.5, 0.25]}, (64, 64)),
        ({IMAGER: [0.2, 0.4]}, (128, 32)),
        ({SCANNED: [0.4, 0.2]}, (64, 64)),
        # Pixel Aspect Ratio is for images without a spacing (Table C.7-11c).
        ({SPACING: [1, 1], RATIO: [2, 1]}, (64, 32)),
        ({SPACING: [2, 1], IMAGER: [1, 1]}, (64, 64)),
        ({SHARED: [measures(3, 1)], SPACING: [1, 1]}, (64, 96)),
        ({SHARED: [measures(3, 1)], PER_FRAME: [measures(1, 2)]}, (128, 32)),
        # What cannot be meant.
        ({RATIO: [0, 1]}, (64, 32)),
        ({RATIO: [-1, 2]}, (64, 32)),
        ({RATIO: [2]}, (64, 32)),
        ({RATIO: [100000, 1]}, (64, 32)),
        ({SPACING: [0, 0], RATIO: [2, 1]}, (64, 64)),
        ({SPACING: [0.3333, 0.3334]}, (64, 32)),
    ],
)
def test_pixels_of_pictures_are_squares(shared, elements, size):
    made = store_gradient(shared, SampleStudy(), elements={SPACING: None} | elements)
    assert size_of(shared, path_of(made)) == size


@pytest.fixture(scope="module")
def tall(shared):
    """An image of 64 columns and 32 rows whose pixels are four times as high as wide."""
    return store_gradient(shared, SampleStudy(), elements={SPACING: [2, 0.5]})


class TestViewport:
    """As large as it fits in, and not distorted (PS3.18 §8.3.5.1.3)."""

    @pytest.mark.parametrize(
        ("query", "size"),
        [
            ("?viewport=64,64", (32, 64)),
            ("?viewport=1000,256", (128, 256)),
            ("?viewport=100,100,0,0,32,4", (100, 50)),  # 32 pixels wide, 4 high: 32 by 16
            ("?viewport=100,100,32,0,-32,4", (100, 50)),
        ],
    )
    def test_viewports(self, shared, tall, query, size):
        assert size_of(shared, path_of(tall), query) == size

    def test_thumbnail(self, shared, tall):
        assert picture(shared.get(f"{path_of(tall)}/thumbnail")).size == (64, 128)

    def test_moving_pictures(self, shared):
        made = store_gradient(shared, SampleStudy(), 3, elements={SPACING: None, RATIO: [2, 1]})
        moving = picture(shared.get(f"{path_of(made)}/rendered"))
        assert (moving.n_frames, moving.size) == (3, (64, 64))

    def test_grey_levels_stay(self, shared, tall):
        image = np.asarray(picture(shared.get(f"{path_of(tall)}/rendered", "image/png")))
        assert (image == image[0]).all()  # rows are alike before and after
        assert (np.diff(image[0].astype(int)) >= 0).all()

    def test_a_picture_too_large_loses_pixels_instead(self, shared):
        # 20,000 by 640 pixels are 12.8 million, and become; 1,000 by 40,000 would be 40 million.
        for columns, rows, size in ((20000, 16, (20000, 640)), (1000, 1000, (25, 1000))):
            made = blank(columns, rows, PixelSpacing=("40", "1"))
            shared.store(made)
            assert size_of(shared, path_of(made)) == size


class TestUri:
    """PS3.18 §9.4.1.2.3: rows and columns are the most that there may be, undistorted."""

    @pytest.mark.parametrize(
        ("query", "size"),
        [
            ("", (64, 128)),
            ("&rows=256", (128, 256)),
            ("&columns=32", (32, 64)),
            ("&rows=64&columns=1000", (32, 64)),
            ("&region=0,0,1,0.25", (64, 32)),
            ("&region=0,0,1,0.25&rows=64", (128, 64)),
        ],
    )
    def test_sizes(self, shared, tall, query, size):
        uid = tall.sop_instance_uid
        path = f"/wado?requestType=WADO&objectUID={uid}&contentType=image/png{query}"
        assert picture(shared.get(path)).size == size

    @pytest.mark.parametrize(("columns", "rows"), [(3, 1000), (34, 1000), (1000, 7), (999, 998)])
    def test_the_given_side_is_met(self, shared, columns, rows):
        made = blank(columns, rows, PixelSpacing="")
        shared.store(made)
        path = f"/wado?requestType=WADO&objectUID={made.sop_instance_uid}&contentType=image/png"
        assert picture(shared.get(f"{path}&rows=100")).size[1] == 100
        assert picture(shared.get(f"{path}&columns=100")).size[0] == 100


class TestPresented:
    def test_as_the_state_says(self, shared):
        """PS3.3 C.10.4: what the presentation state says of the pixels counts."""
        study = SampleStudy()
        image = store_gradient(shared, study, elements={SPACING: [2, 1]})
        whole = area(1, 1, 64, 32)

        def shown(query="", **values):
            path, _ = store_state(shared, study, image, **values)
            return size_of(shared, path, query)

        assert shown() == (64, 64)
        whole[0].PresentationPixelAspectRatio = [1, 2]
        assert shown(DisplayedAreaSelectionSequence=whole) == (128, 32)
        whole[0].PresentationPixelSpacing = [1, 1]
        assert shown(DisplayedAreaSelectionSequence=whole) == (64, 32)
        turned: Dataset = area(1, 1, 64, 32)[0]
        turned.PresentationPixelAspectRatio = [2, 1]
        values = {"ImageRotation": 90, "ImageHorizontalFlip": "N"}
        assert shown(DisplayedAreaSelectionSequence=[turned], **values) == (64, 64)
        turned.DisplayedAreaBottomRightHandCorner = [64, 16]
        assert shown(DisplayedAreaSelectionSequence=[turned], **values) == (32, 64)
        query = "?viewport=100,100"
        assert shown(query, DisplayedAreaSelectionSequence=[turned], **values) == (50, 100)

    def test_by_uri(self, shared):
        study = SampleStudy()
        image = store_gradient(shared, study, elements={SPACING: [2, 1]})
        turned = area(1, 1, 64, 16)
        turned[0].PresentationPixelAspectRatio = [2, 1]
        _, state = store_state(
            shared, study, image, ImageRotation=90, DisplayedAreaSelectionSequence=turned
        )
        asked = f"objectUID={image.sop_instance_uid}&studyUID={study.study_instance_uid}"
        path = f"/wado?requestType=WADO&{asked}&contentType=image/png"
        path += f"&presentationUID={state.SOPInstanceUID}"
        assert picture(shared.get(f"{path}&rows=100")).size == (50, 100)
        assert picture(shared.get(f"{path}&columns=100")).size == (100, 200)

    def test_graphics_go_with_the_pixels(self, shared):
        """A line through the middle of the image stays there, on square pixels, too."""
        study = SampleStudy()
        image = store_gradient(shared, study, elements={SPACING: [2, 1]})
        line = item(
            GraphicAnnotationUnits="PIXEL",
            GraphicDimensions=2,
            NumberOfGraphicPoints=2,
            GraphicData=[1.0, 24.5, 64.0, 24.5],
            GraphicType="POLYLINE",
            GraphicFilled="N",
        )
        annotation = item(
            ReferencedImageSequence=[reference(image)],
            GraphicLayer="ONE",
            GraphicObjectSequence=[line],
        )
        dark = [item(WindowCenter=5000, WindowWidth=10)]
        path, _ = store_state(
            shared,
            study,
            image,
            GraphicAnnotationSequence=[annotation],
            SoftcopyVOILUTSequence=dark,
        )
        shown = np.asarray(picture(shared.get(f"{path}/rendered", "image/png")))
        assert shown.shape == (64, 64)
        assert [row for row in range(64) if shown[row, 30] > 200] == [48]
