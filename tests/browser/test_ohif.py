"""OHIF in Chromium, on a node's DICOMweb: what a reader of images sees."""

import base64
import io
import os
import re

import httpx
import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    MRImageStorage,
    RLELossless,
    UltrasoundMultiFrameImageStorage,
    generate_uid,
)

from pacs_core.dataset import file_meta
from pacs_core.testing.waiting import until

from .segmentation import segment

pytestmark = [
    pytest.mark.peer("chromium"),
    pytest.mark.xdist_group("ohif"),
]


def new_uid():
    return generate_uid(prefix="1.2.826.0.1.98.")


def open_study(page, site, study):
    # OHIF guides who comes for the first time, and dims the image meanwhile.
    page.add_init_script("localStorage.setItem('shownTours', '[\"basicViewerTour\"]')")
    page.goto(f"{site.url}/viewer/viewer?StudyInstanceUIDs={study}")
    page.locator("canvas").first.wait_for()


def row_of_pixels(page):
    """Return a row of the first viewport, without what lies over it, once it shows an image."""
    canvas = page.locator("canvas").first
    for _ in range(60):
        encoded = canvas.evaluate("canvas => canvas.toDataURL()").partition(",")[2]
        picture = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")
        pixels = np.asarray(picture)[picture.height // 2].astype(int)
        if pixels.max() > 240:
            return pixels
        page.wait_for_timeout(500)
    raise AssertionError("the viewport stays dark")


def is_ramp(levels):
    """Whether grey levels rise from black to white, as those of :func:`make_image` do."""
    (shown,) = np.nonzero(levels)
    rise = levels[shown[0] : levels.argmax() + 1]
    return len(rise) > 100 and rise[0] < 8 and rise[-1] > 240 and np.ptp(np.diff(rise)) < 8


def test_the_study_list_shows_and_filters(page, site, make_image):
    """Also beside a study that has no modality: it kept OHIF from showing any."""
    named = {"PatientName": "List^Lea"}
    site.store(
        make_image(CTImageStorage, "CT", study=new_uid(), series=new_uid(), **named),
        make_image(
            CTImageStorage, "", study=new_uid(), series=new_uid(), PatientName="No^Modality"
        ),
    )
    page.goto(f"{site.url}/viewer/")
    page.get_by_text("List, Lea").or_(page.get_by_text("List^Lea")).first.wait_for()
    page.get_by_text("No, Modality").or_(page.get_by_text("No^Modality")).first.wait_for()


@pytest.mark.parametrize(
    "sop_class",
    [CTImageStorage, pytest.param(MRImageStorage, marks=pytest.mark.long)],
    ids=["CT", "MR"],
)
def test_a_series_of_slices(page, site, make_image, sop_class):
    study, series = new_uid(), new_uid()
    modality = "CT" if sop_class == CTImageStorage else "MR"
    site.store(
        *(
            make_image(sop_class, modality, study=study, series=series, number=number)
            for number in range(1, 6)
        )
    )
    open_study(page, site, study)
    assert is_ramp(row_of_pixels(page)[:, 0])


@pytest.mark.parametrize(
    "syntax",
    [
        JPEG2000Lossless,
        *(pytest.param(uid, marks=pytest.mark.long) for uid in (RLELossless, JPEGLSLossless)),
    ],
    ids=str,
)
def test_a_compressed_image(page, site, make_image, syntax):
    """It comes as it is stored (``transfer-syntax=*``), and the browser decodes it."""
    study = new_uid()
    image = make_image(CTImageStorage, "CT", study=study, series=new_uid())
    image.compress(syntax)
    site.store(image)
    open_study(page, site, study)
    assert is_ramp(row_of_pixels(page)[:, 0])


def test_a_colour_image_of_several_frames(page, site, make_image):
    study = new_uid()
    frame = np.zeros((128, 128, 3), np.uint8)
    frame[:, :, 0] = np.linspace(0, 255, 128).astype(np.uint8)
    image = make_image(
        UltrasoundMultiFrameImageStorage,
        "US",
        study=study,
        series=new_uid(),
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=0,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        NumberOfFrames=3,
    )
    del image.WindowCenter, image.WindowWidth
    image.add_new("PixelData", "OB", frame.tobytes() * 3)
    site.store(image)
    open_study(page, site, study)
    pixels = row_of_pixels(page)
    assert is_ramp(pixels[:, 0])
    assert pixels[:, 1].max() < 120  # red, without green


def test_native_pixels_with_half_the_chroma(page, site, make_image):
    """YBR_FULL_422 is Y1, Y2, Cb, Cr for two pixels (PS3.3 C.7.6.3.1.2); it stayed black."""
    study = new_uid()
    frame = np.zeros((128, 64, 4), np.uint8)
    frame[:, :, :2] = np.linspace(0, 255, 128).astype(np.uint8).reshape(64, 2)
    frame[:, :, 2:] = 90, 200
    image = make_image(
        UltrasoundMultiFrameImageStorage,
        "US",
        study=study,
        series=new_uid(),
        SamplesPerPixel=3,
        PhotometricInterpretation="YBR_FULL_422",
        PlanarConfiguration=0,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        NumberOfFrames=1,
    )
    del image.WindowCenter, image.WindowWidth
    image.add_new("PixelData", "OB", frame.tobytes())
    site.store(image)
    open_study(page, site, study)
    shown = row_of_pixels(page)
    grey = shown[(shown[:, 0] > 160) & (shown[:, 0] < 240)]  # of which red is not cut off
    assert len(grey) > 100
    luma = grey[:, 0] - 1.402 * (200 - 128)
    green = luma - 0.344136 * (90 - 128) - 0.714136 * (200 - 128)
    assert np.abs(grey[:, 1] - green.clip(0)).max() < 6
    assert np.abs(grey[:, 2] - (luma + 1.772 * (90 - 128)).clip(0)).max() < 6


def sample(pacs_dataset, modality, study, **values):
    """Return a sample that is no image, as a Dataset of this study."""
    values |= {"StudyInstanceUID": study, "PatientName": "Ramp^Rita", "PatientID": "R-1"}
    made = pacs_dataset(modality, **values)
    head = file_meta(made.sop_class_uid, made.sop_instance_uid, ExplicitVRLittleEndian)
    return dcmread(io.BytesIO(head + made.encode()))


def test_a_document_is_shown(page, site, pacs_dataset):
    """OHIF asks for the rendered document, which is a PDF (PS3.18 8.7.4)."""
    study, document = new_uid(), io.BytesIO()
    Image.new("RGB", (200, 300), "navy").save(document, "PDF")
    document = document.getvalue() + b" " * (len(document.getvalue()) % 2)
    site.store(sample(pacs_dataset, "PDF", study, EncapsulatedDocument=document))
    with page.expect_response(lambda got: got.url.endswith("/rendered")) as told:
        page.goto(f"{site.url}/viewer/viewer?StudyInstanceUIDs={study}")
    assert told.value.ok
    assert told.value.headers["content-type"] == "application/pdf"
    page.wait_for_timeout(2000)  # for what might keep the browser from showing it


def test_a_report_is_shown_beside_its_images(page, site, make_image, pacs_dataset):
    study = new_uid()
    site.store(
        make_image(CTImageStorage, "CT", study=study, series=new_uid()),
        sample(pacs_dataset, "SR", study),
    )
    open_study(page, site, study)
    assert is_ramp(row_of_pixels(page)[:, 0])
    page.get_by_text("SR", exact=True).first.wait_for()


def test_a_segmentation_is_shown_on_its_images(page, site, make_image):
    """A square is coloured, of which the images know nothing (PS3.3 A.51)."""
    study, series = new_uid(), new_uid()
    images = [
        make_image(CTImageStorage, "CT", study=study, series=series, number=number)
        for number in range(1, 4)
    ]
    mask = np.zeros((128, 128), bool)
    mask[40:90, 30:60] = True
    site.store(*images, segment(images, mask))
    open_study(page, site, study)
    assert not is_coloured(row_of_pixels(page))
    show_segmentation(page)


def show_segmentation(page):
    """Have the segmentation shown, and see that it is."""
    page.get_by_text("SEG", exact=True).first.dblclick()
    for _ in range(60):
        if is_coloured(row_of_pixels(page)):
            return
        page.wait_for_timeout(500)
    raise AssertionError("nothing is coloured")


def test_what_a_service_infers_is_shown_beside_its_source(page, site, make_image):
    """The example service is asked; OHIF and our own pages show segmentation and report."""
    study, series = new_uid(), new_uid()
    pixels = np.tile(np.linspace(0, 2047, 128).astype("<u2"), (128, 1))
    pixels[:, :3] = 2047  # bright, but not of the largest component
    site.store(
        *(
            make_image(
                CTImageStorage,
                "CT",
                study=study,
                series=series,
                number=number,
                RescaleSlope=1,
                RescaleIntercept=-1024,
                WindowCenter=0,
                PixelData=pixels.tobytes(),
            )
            for number in range(1, 4)
        )
    )
    with httpx.Client(base_url=f"{site.url}/api/ai", timeout=60) as client:
        asked = client.post("/requests", json={"service": "lesion", "study": study})
        assert asked.status_code == 202, asked.text
        (request,) = asked.json()["requests"]

        def results():
            found = client.get(f"/requests/{request['number']}").json()
            assert found["state"] != "failed", found["reason"]
            return found["results"]

        until(lambda: len(results()) == 2, 120)
        assert [(each["state"], each["reasons"]) for each in results()] == [("archived", [])] * 2
    shown = httpx.get(f"{site.url}/ui/studies/{study}", timeout=60).text
    assert re.findall(r'<span class="tag">(\w+)</span>', shown) == ["CT", "SEG", "SR"]
    page.goto(f"{site.url}/ui/viewer/{study}")
    for description in ("Largest bright component", "Largest bright component: volume"):
        page.get_by_text(description, exact=True).first.wait_for()
    if folder := os.environ.get("PACS_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/inferred-in-viewer.png")
    open_study(page, site, study)
    assert not is_coloured(row_of_pixels(page))
    page.get_by_text("SR", exact=True).first.wait_for()
    show_segmentation(page)


def is_coloured(pixels):
    """Whether a good part of a row is not grey."""
    return (np.ptp(pixels, axis=1) > 25).sum() > 20
