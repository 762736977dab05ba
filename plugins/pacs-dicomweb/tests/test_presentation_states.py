"""Images as softcopy presentation states present them, over the wire (PS3.3 A.33)."""

import io

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from pacs_core.testing.datasets import SampleStudy

from .test_rendered import path_of, picture, store_gradient

GREY_STATE = "1.2.840.10008.5.1.4.1.1.11.1"


def item(**values):
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def store_state(web, study, *images, elements=None, **values):
    """Store a presentation state for images, with elements besides keywords; return its path."""
    state = item(
        SOPClassUID=GREY_STATE,
        SOPInstanceUID=generate_uid(),
        StudyInstanceUID=study.study_instance_uid,
        SeriesInstanceUID=generate_uid(),
        PatientID="",
        PatientName="",
        Modality="PR",
        PresentationLUTShape="IDENTITY",
    )
    state.ReferencedSeriesSequence = [
        item(
            SeriesInstanceUID=image.values["SeriesInstanceUID"],
            ReferencedImageSequence=[reference(image)],
        )
        for image in images
    ]
    for keyword, value in values.items():
        setattr(state, keyword, value)
    for (group, number, vr), value in (elements or {}).items():
        state.add_new((group, number), vr, value)
    state.file_meta = FileMetaDataset()
    state.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    state.file_meta.MediaStorageSOPClassUID = state.SOPClassUID
    state.file_meta.MediaStorageSOPInstanceUID = state.SOPInstanceUID
    out = io.BytesIO()
    state.save_as(out, enforce_file_format=True)
    assert web.store(out.getvalue()).status_code == 200
    path = (
        f"/studies/{state.StudyInstanceUID}/series/{state.SeriesInstanceUID}"
        f"/instances/{state.SOPInstanceUID}"
    )
    return path, state


def reference(image, **more):
    values = {
        "ReferencedSOPClassUID": image.sop_class_uid,
        "ReferencedSOPInstanceUID": image.sop_instance_uid,
    }
    return item(**values, **more)


def area(left, top, right, bottom):
    return [
        item(
            DisplayedAreaTopLeftHandCorner=[left, top],
            DisplayedAreaBottomRightHandCorner=[right, bottom],
            PresentationSizeMode="SCALE TO FIT",
        )
    ]


@pytest.fixture(scope="module")
def study():
    return SampleStudy()


@pytest.fixture(scope="module")
def image(shared, study):
    return store_gradient(shared, study)


@pytest.fixture
def present(shared, study, image):
    """Return a function that stores a state for the image, and returns what is shown."""

    def show(query="", **values):
        path, _ = store_state(shared, study, image, **values)
        shown = picture(shared.get(f"{path}/rendered{query}", "image/png"))
        return np.asarray(shown).astype(int)

    return show


@pytest.fixture(scope="module")
def plain(shared, image):
    shown = picture(shared.get(f"{path_of(image)}/rendered", "image/png"))
    return np.asarray(shown).astype(int)


def window(centre, width, **more):
    return [item(WindowCenter=centre, WindowWidth=width, **more)]


def test_the_window_of_the_state_counts(present, image):
    shown = present(SoftcopyVOILUTSequence=window(100, 2))
    assert set(np.unique(shown)) <= {0, 127, 128, 255}
    assert (shown[:, :6] == 0).all()
    assert (shown[:, 8:] == 255).all()
    asked = present("?window=512,1024", SoftcopyVOILUTSequence=window(100, 2))
    assert len(np.unique(asked)) > 50


def test_a_window_for_another_image_does_not(present, image):
    other = item(ReferencedSOPClassUID=image.sop_class_uid, ReferencedSOPInstanceUID="1.2.3")
    other = window(100, 2, ReferencedImageSequence=[other])
    own = window(800, 2, ReferencedImageSequence=[reference(image)])
    shown = present(SoftcopyVOILUTSequence=[*other, *own])
    assert (shown[:, :49] == 0).all()
    assert (shown[:, 52:] == 255).all()


def test_without_a_window_all_values_are_shown(present, plain):
    """The image's own window does not count (PS3.4 N.2)."""
    shown = present()
    assert (shown[0, 0], shown[0, -1]) == (0, 255)
    assert (np.diff(shown[0]) >= 0).all()


def test_inverse(present, plain):
    shown = present(SoftcopyVOILUTSequence=window(512, 1024), PresentationLUTShape="INVERSE")
    assert np.abs(shown - (255 - plain)).max() <= 1


def test_the_modality_lut_of_the_state_counts(present):
    rescaled = {"RescaleIntercept": "-1000", "RescaleSlope": "1", "RescaleType": "HU"}
    shown = present(SoftcopyVOILUTSequence=window(-900, 2), **rescaled)
    assert (shown[:, :6] == 0).all()
    assert (shown[:, 8:] == 255).all()


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_rotation_and_flip(present, plain, rotation, flip):
    """Clockwise first, then left and right change places (PS3.3 C.10.6)."""
    shown = present(
        SoftcopyVOILUTSequence=window(512, 1024),
        ImageRotation=rotation,
        ImageHorizontalFlip="Y" if flip else "N",
    )
    wanted = np.rot90(plain, -rotation // 90)
    assert np.abs(shown - (wanted[:, ::-1] if flip else wanted)).max() <= 1


def test_the_displayed_area(present, plain):
    shown = present(
        SoftcopyVOILUTSequence=window(512, 1024),
        DisplayedAreaSelectionSequence=area(11, 5, 30, 20),
    )
    assert np.abs(shown - plain[4:20, 10:30]).max() <= 1
    fitted = present(
        "?viewport=200,200",
        SoftcopyVOILUTSequence=window(512, 1024),
        DisplayedAreaSelectionSequence=area(11, 5, 30, 20),
    )
    assert fitted.shape == (160, 200)


def test_an_area_beyond_the_image_shows_the_image(present, plain):
    shown = present(DisplayedAreaSelectionSequence=area(-100, -100, 400, 400))
    assert shown.shape == plain.shape


def graphic(kind, *data, filled=False, units="PIXEL", **more):
    return item(
        GraphicAnnotationUnits=units,
        GraphicDimensions=2,
        NumberOfGraphicPoints=len(data) // 2,
        GraphicData=list(map(float, data)),
        GraphicType=kind,
        GraphicFilled="Y" if filled else "N",
        **more,
    )


def drawn(*graphics, texts=(), images=()):
    annotation = item(GraphicLayer="A", GraphicObjectSequence=list(graphics))
    if texts:
        annotation.TextObjectSequence = list(texts)
    if images:
        annotation.ReferencedImageSequence = list(images)
    return {
        "GraphicAnnotationSequence": [annotation],
        "SoftcopyVOILUTSequence": window(100_000, 2),  # all black
    }


def test_a_line_is_where_it_should_be(present):
    shown = present(**drawn(graphic("POLYLINE", 5, 10, 40, 10)))
    assert (shown[9, 5:39] == 255).all()
    assert shown[[7, 11]].max() == 0


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_graphics_turn_with_the_image(present, rotation):
    upright = present(**drawn(graphic("POLYLINE", 5, 10, 40, 10, 40, 30, 5, 10, filled=True)))
    turned = present(
        **drawn(graphic("POLYLINE", 5, 10, 40, 10, 40, 30, 5, 10, filled=True)),
        ImageRotation=rotation,
        ImageHorizontalFlip="Y",
    )
    wanted = np.rot90(upright, -rotation // 90)[:, ::-1]
    assert (turned != wanted).mean() < 0.05


@pytest.mark.parametrize(
    ("made", "inside", "outside"),
    [
        (graphic("CIRCLE", 32, 16, 32, 26, filled=True), (15, 31), (15, 45)),
        (graphic("ELLIPSE", 12, 16, 52, 16, 32, 11, 32, 21, filled=True), (15, 45), (24, 31)),
        (graphic("POLYLINE", 0.25, 0.25, 0.75, 0.25, 0.75, 0.75, 0.25, 0.75, filled=True,
                 units="DISPLAY"), (16, 32), (3, 32)),
    ],
)  # fmt: skip
def test_shapes(present, made, inside, outside):
    shown = present(**drawn(made))
    assert shown[inside] == 255
    assert shown[outside] == 0


def test_text_is_drawn_upright(present):
    text = item(
        UnformattedTextValue="L",
        BoundingBoxAnnotationUnits="PIXEL",
        BoundingBoxTopLeftHandCorner=[10.0, 5.0],
        BoundingBoxBottomRightHandCorner=[30.0, 20.0],
    )
    shown = present("?viewport=256,256", **drawn(texts=[text]))
    assert (shown > 200).sum() > 10


def test_several_images_are_several_pictures(shared, wire):
    study = SampleStudy()
    first, second = store_gradient(shared, study), store_gradient(shared, study)
    path, _ = store_state(shared, study, first, second)
    parts = wire.read_parts(shared.get(f"{path}/rendered"))
    assert [headers["content-type"] for headers, _ in parts] == ["image/jpeg"] * 2
    assert first.sop_instance_uid in parts[0][0]["content-location"]
    assert shared.get(f"{path}/rendered", "image/png").status_code == 406


def test_a_state_whose_images_are_not_here(shared):
    study = SampleStudy()
    path, _ = store_state(shared, study, SampleStudy().make("CT"))
    assert shared.get(f"{path}/rendered").status_code == 404


def test_the_answer_is_another_once_the_state_is(shared, study, image):
    path, _ = store_state(shared, study, image, ImageRotation=90)
    other, _ = store_state(shared, study, image, ImageRotation=180)
    tags = {shared.get(f"{each}/rendered").headers["etag"] for each in (path, other)}
    assert len(tags) == 2
    again = shared.get(f"{path}/rendered", headers={"If-None-Match": tags.pop()})
    assert again.status_code in {200, 304}


@pytest.mark.parametrize(
    "values",
    [
        {"ImageRotation": 45},
        {"ImageRotation": 65535},
        {"DisplayedAreaSelectionSequence": area(2000, 2000, 3000, 3000)},
        drawn(graphic("NONSENSE", 1, 2, 3, 4), graphic("CIRCLE", 1, 2), graphic("POINT", 1e30, 1)),
        drawn(*[graphic("POLYLINE", *range(200))] * 2000),
        {"SoftcopyVOILUTSequence": window(100, 0)},
    ],
)
def test_states_that_make_no_sense_harm_nobody(shared, study, image, values):
    path, _ = store_state(shared, study, image, **values)
    assert shared.get(f"{path}/rendered").status_code < 500
    assert shared.get(f"{path_of(image)}/rendered").status_code == 200


class TestUri:
    @pytest.fixture
    def state(self, shared, study, image):
        return store_state(shared, study, image, ImageRotation=90)[1]

    def ask(self, shared, image, **parameters):
        given = {
            "requestType": "WADO",
            "studyUID": image.values["StudyInstanceUID"],
            "seriesUID": image.values["SeriesInstanceUID"],
            "objectUID": image.sop_instance_uid,
            "contentType": "image/png",
            **parameters,
        }
        return shared.client.get("/wado", params=given)

    def test_presentation_uid(self, shared, image, state):
        shown = picture(self.ask(shared, image, presentationUID=state.SOPInstanceUID))
        assert shown.size == (32, 64)

    def test_what_is_refused(self, shared, study, image, state):
        both = self.ask(shared, image, presentationUID=state.SOPInstanceUID, region="0,0,0.5,0.5")
        assert both.status_code == 400
        assert self.ask(shared, image, presentationUID="1.2.3").status_code == 404
        assert self.ask(shared, image, presentationUID=image.sop_instance_uid).status_code == 400
        another = store_gradient(shared, study)
        refused = self.ask(shared, another, presentationUID=state.SOPInstanceUID)
        assert refused.status_code == 400


ROWS, COLUMNS = np.mgrid[1:33, 1:65]


@pytest.mark.parametrize(
    ("values", "seen"),
    [
        (
            {
                "ShutterShape": "RECTANGULAR",
                "ShutterLeftVerticalEdge": 11,
                "ShutterRightVerticalEdge": 60,
                "ShutterUpperHorizontalEdge": 5,
                "ShutterLowerHorizontalEdge": 30,
            },
            (COLUMNS >= 11) & (COLUMNS <= 60) & (ROWS >= 5) & (ROWS <= 30),
        ),
        (
            {
                "ShutterShape": "CIRCULAR",
                "CenterOfCircularShutter": [16, 40],
                "RadiusOfCircularShutter": 10,
            },
            (ROWS - 16) ** 2 + (COLUMNS - 40) ** 2 <= 100,
        ),
        (
            {
                "ShutterShape": "POLYGONAL",
                "VerticesOfThePolygonalShutter": [4, 10, 4, 20, 14, 20, 14, 10],
            },
            (COLUMNS >= 10) & (COLUMNS <= 20) & (ROWS >= 4) & (ROWS <= 14),
        ),
        (
            {
                "ShutterShape": ["CIRCULAR", "RECTANGULAR"],
                "CenterOfCircularShutter": [16, 40],
                "RadiusOfCircularShutter": 10,
                "ShutterLeftVerticalEdge": 40,
                "ShutterRightVerticalEdge": 64,
                "ShutterUpperHorizontalEdge": 1,
                "ShutterLowerHorizontalEdge": 32,
            },
            ((ROWS - 16) ** 2 + (COLUMNS - 40) ** 2 <= 100) & (COLUMNS >= 40),
        ),
        ({"ShutterShape": "RECTANGULAR", "ShutterLeftVerticalEdge": 3}, COLUMNS > 0),
        ({"ShutterShape": "STAR"}, COLUMNS > 0),
        ({"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [5, 5]}, COLUMNS > 0),
    ],
)
def test_shutters_cover_what_is_outside(present, plain, values, seen):
    """PS3.3 C.7.6.11: of several shapes, what is within all can be seen."""
    grey = present(ShutterPresentationValue=0x8000, **values)
    window_of_all = present()
    assert (grey[seen] == window_of_all[seen]).all()
    assert set(np.unique(grey[~seen])) <= {128}


def overlay(group, points, layer="A", **more):
    """Return the elements of an overlay plane (PS3.3 C.9.2) in a graphic layer (C.11.7)."""
    bits = np.packbits(points.astype("u1").ravel(), bitorder="little").tobytes()
    rows, columns = points.shape
    made = {
        (0x0010, "US"): rows, (0x0011, "US"): columns, (0x0040, "CS"): "G",
        (0x0050, "SS"): [1, 1], (0x0100, "US"): 1, (0x0102, "US"): 0, (0x3000, "OW"): bits,
    }  # fmt: skip
    made |= {(0x1001, "CS"): layer} if layer else {}
    return {(group, element, vr): value for (element, vr), value in made.items()} | more


@pytest.fixture
def present_overlays(shared, study):
    """Return a function that stores an image and a state with overlays: what the state shows."""

    def show(own, of_the_image=None, **values):
        image = store_gradient(shared, study, elements=of_the_image or {})
        path, _ = store_state(shared, study, image, elements=own, **values)
        return np.asarray(picture(shared.get(f"{path}/rendered", "image/png"))).astype(int)

    return show


def test_overlays_are_shown_that_the_state_activates(present_overlays, plain):
    corner, middle = (ROWS < 9) & (COLUMNS < 9), (ROWS > 20) & (COLUMNS < 9)
    shown = present_overlays(overlay(0x6000, corner))
    assert (shown[corner] == 255).all()
    assert (shown[middle] < 60).all()
    # Those of the image only if the state names a layer for them.
    hidden = present_overlays({}, overlay(0x6002, middle, layer=""))
    assert (hidden[middle] < 60).all()
    activated = present_overlays({(0x6002, 0x1001, "CS"): "A"}, overlay(0x6002, middle, layer=""))
    assert (activated[middle] == 255).all()
    assert (activated[corner] < 60).all()


def test_a_bitmap_covers_its_points(present_overlays):
    """PS3.3 C.7.6.15: where the bitmap is 1, the image is not seen."""
    covered = (ROWS > 10) & (COLUMNS > 30)
    shown = present_overlays(
        overlay(0x6004, covered, layer=""), ShutterShape="BITMAP", ShutterOverlayGroup=0x6004,
        ShutterPresentationValue=0,
    )  # fmt: skip
    assert (shown[covered] == 0).all()
    assert (shown[(ROWS <= 10) & (COLUMNS > 40)] > 100).all()


def test_shutters_turn_with_the_image(present):
    edges = {
        "ShutterShape": "RECTANGULAR",
        "ShutterLeftVerticalEdge": 33,
        "ShutterRightVerticalEdge": 64,
        "ShutterUpperHorizontalEdge": 1,
        "ShutterLowerHorizontalEdge": 32,
    }
    shown = present(ShutterPresentationValue=0, ImageRotation=90, ImageHorizontalFlip="N", **edges)
    assert shown.shape == (64, 32)
    assert (shown[:32] == 0).all()
    assert (shown[32:] > 100).all()
