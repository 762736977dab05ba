"""The built-in viewer in Chromium: what a reader of images does with it, and what must not be."""

import io
import re

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    UltrasoundMultiFrameImageStorage,
)

from pacs_core.dataset import file_meta
from pacs_core.testing.waiting import until

from .test_viewer_pixels import actual_pixels, native, new_uid, open_viewer, shown, store, unsigned

pytestmark = [
    pytest.mark.peer("chromium"),
    pytest.mark.xdist_group("viewer"),
]
SIZE = 128
HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
LENGTH = re.compile(r"([\d.]+) (mm|px)")


def series_of(make_image, count, **more):
    """Return slices whose grey is their number, from black to white."""
    study, series = more.pop("study", None) or new_uid(), new_uid()
    images = []
    for number in range(1, count + 1):
        image = make_image(CTImageStorage, "CT", study=study, series=series, number=number)
        image.PixelData = np.full((SIZE, SIZE), 100 * number, "<u2").tobytes()
        image.WindowCenter, image.WindowWidth = 500, 1000
        for keyword, value in more.items():
            setattr(image, keyword, value)
        images.append(image)
    return images


def wait_for_image(page, number, total):
    page.locator(".at-lower-left", has_text=f"Image {number} / {total}").first.wait_for()


def at(page, x, y):
    """Return where a pixel of the image, which is shown 1:1, is on the page."""
    box = page.locator(".screen").first.bounding_box()
    left, top = (
        round(box["width"] / 2 - SIZE / 2 + 0.01),
        round(box["height"] / 2 - SIZE / 2 + 0.01),
    )
    return box["x"] + left + x, box["y"] + top + y


def drag(page, key, start, end):
    page.keyboard.press(key)
    page.mouse.move(*at(page, *start))
    page.mouse.down()
    page.mouse.move(*at(page, *end), steps=3)
    page.mouse.up()


def said(page):
    """Return what the measurements say, once they are drawn."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))")
    return [each.text_content() for each in page.locator(".measure text").all()]


def test_a_person_comes_from_the_list_to_the_images_and_back(page, plain_site, make_image):
    images = series_of(make_image, 3, PatientName="Way^Wanda")
    store(plain_site, *images)
    page.goto(f"{plain_site.url}/ui/?q=wanda")
    page.get_by_role("link", name="Way, Wanda").click()
    page.get_by_role("link", name="Open in Viewer").click()
    wait_for_image(page, 1, 3)
    assert page.locator("h1").inner_text() == "Way, Wanda"
    page.get_by_label("Back to the study").click()
    page.get_by_role("link", name="Open in Viewer").wait_for()


def test_slices_are_scrolled_by_wheel_keys_and_slider(page, plain_site, make_image):
    images = series_of(make_image, 12)
    store(plain_site, *images[::-1])
    open_viewer(page, plain_site, images[0].StudyInstanceUID)

    def grey():
        return int(shown(page)[400, 500, 0])

    greys = []
    for number in (1, 2, 3):
        wait_for_image(page, number, 12)
        greys.append(grey())
        page.keyboard.press("ArrowDown")
    assert greys == sorted(set(greys))
    page.keyboard.press("End")
    wait_for_image(page, 12, 12)
    page.keyboard.press("Home")
    wait_for_image(page, 1, 12)
    page.keyboard.press("PageDown")
    wait_for_image(page, 11, 12)
    page.mouse.move(*at(page, 64, 64))
    page.mouse.wheel(0, -120)
    wait_for_image(page, 10, 12)
    page.locator(".scroller").first.focus()
    page.keyboard.press("Home")
    wait_for_image(page, 1, 12)
    assert page.locator(".scroller").first.get_attribute("aria-valuetext") == "Image 1 / 12"
    assert grey() == greys[0]


def test_texts_are_of_the_image_that_is_seen(page, plain_site, make_image):
    """While the next one is on its way, the one before is shown, under its own number."""
    images = series_of(make_image, 3)
    store(plain_site, *images)
    held = []
    page.route(f"**/{images[1].SOPInstanceUID}/frames/1", lambda route: held.append(route))
    open_viewer(page, plain_site, images[0].StudyInstanceUID)
    before = actual_pixels(page)
    page.keyboard.press("ArrowDown")
    page.locator(".viewport.loading").wait_for()
    assert "Image 1 / 3" in page.locator(".at-lower-left").first.inner_text()
    assert (actual_pixels(page) == before).all()
    held[0].continue_()
    wait_for_image(page, 2, 3)
    assert (actual_pixels(page) != before).all()


def test_slices_are_ordered_by_their_place(page, plain_site, make_image):
    """Instance numbers as an interleaved acquisition gives them, ascending on the whole."""
    images = series_of(make_image, 4)
    for image, number, place in zip(images, (1, 3, 2, 4), (0, -2, -4, -6), strict=True):
        image.InstanceNumber, image.ImagePositionPatient = number, [0, 0, place]
        image.SliceLocation = place
    store(plain_site, *images)
    open_viewer(page, plain_site, images[0].StudyInstanceUID)
    for location in ("0.0", "-2.0", "-4.0", "-6.0"):
        page.locator(".at-lower-left", has_text=f"Location {location} mm").first.wait_for()
        page.keyboard.press("ArrowDown")


def test_the_window_follows_the_mouse_and_is_chosen(page, plain_site, make_image):
    image = make_image(CTImageStorage, "CT", study=new_uid(), series=new_uid())
    store(plain_site, image)
    open_viewer(page, plain_site, image.StudyInstanceUID)
    corner = page.locator(".at-lower-right").first
    before = corner.inner_text()
    drag(page, "w", (20, 20), (80, 50))
    corner.get_by_text("W 2168").wait_for()  # 2048 + 60 × 2, as the image has 2048 values
    assert before != corner.inner_text()
    assert "C 1084" in corner.inner_text()
    page.locator("#windows").select_option(label="Lung (-600 / 1500)")
    corner.get_by_text("C -600 W 1500").wait_for()
    page.locator(".screen").first.focus()
    page.keyboard.press("u")
    corner.get_by_text("C 1024 W 2048").wait_for()
    page.keyboard.press("3")  # the list has the window of the image first, and of soft tissue
    corner.get_by_text("C -600 W 1500").wait_for()


def test_lengths_and_angles_are_those_of_the_patient(page, plain_site, make_image):
    """Spacing of rows, then of columns: a pixel is 0.5 mm wide and 2 mm high (PS3.3 10.7.1.3)."""
    image = make_image(MRImageStorage, "MR", study=new_uid(), series=new_uid())
    image.PixelSpacing = [0.5, 0.5]
    store(plain_site, image)
    open_viewer(page, plain_site, image.StudyInstanceUID)
    actual_pixels(page)
    drag(page, "l", (20, 30), (100, 90))
    assert said(page) == ["50.0 mm"]  # √((80 / 2)² + (60 / 2)²)
    drag(page, "a", (20, 100), (60, 100))
    page.mouse.move(*at(page, 60, 60))
    page.mouse.down()
    page.mouse.up()
    assert said(page)[1:] == ["90.0°"]
    page.keyboard.press("Delete")
    page.keyboard.press("Delete")
    page.locator(".measure").first.wait_for(state="detached")


@pytest.mark.parametrize(
    ("sop_class", "modality", "values", "expected"),
    [
        (CTImageStorage, "CT", {"PixelSpacing": [1, 1]}, "60.0 mm"),
        (
            ComputedRadiographyImageStorage, "CR", {"ImagerPixelSpacing": [0.1, 0.1]},
            "6.0 mm (at the detector)",
        ),
        (
            ComputedRadiographyImageStorage, "CR",
            {"ImagerPixelSpacing": [0.1, 0.1], "EstimatedRadiographicMagnificationFactor": "1.25"},
            "4.8 mm",
        ),
        (
            ComputedRadiographyImageStorage, "CR",
            {"ImagerPixelSpacing": [0.1, 0.1], "PixelSpacing": [0.08, 0.08]}, "4.8 mm",
        ),
        (UltrasoundMultiFrameImageStorage, "US", {}, "60.0 px"),
        (UltrasoundMultiFrameImageStorage, "US", {"regions": True}, "30.0 mm"),
    ],
    ids=["CT", "at the detector", "magnified", "calibrated", "unknown", "ultrasound region"],
)  # fmt: skip
def test_lengths_say_what_they_are(
    page, plain_site, make_image, sop_class, modality, values, expected
):
    image = make_image(sop_class, modality, study=new_uid(), series=new_uid())
    del image.PixelSpacing
    for keyword, value in values.items():
        if keyword != "regions":
            setattr(image, keyword, value)
    if "regions" in values:
        region = Dataset()
        region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 0
        region.RegionLocationMinX0 = region.RegionLocationMinY0 = 0
        region.RegionLocationMaxX1 = region.RegionLocationMaxY1 = SIZE - 1
        region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
        region.PhysicalDeltaX = region.PhysicalDeltaY = 0.05
        image.SequenceOfUltrasoundRegions = [region]
    store(plain_site, image)
    open_viewer(page, plain_site, image.StudyInstanceUID)
    actual_pixels(page)
    drag(page, "l", (20, 30), (80, 30))
    assert said(page) == [expected]


@pytest.mark.parametrize("key", ["e", "r"], ids=["ellipse", "rectangle"])
def test_regions_have_the_statistics_of_their_pixels(page, plain_site, make_image, key):
    case = native(unsigned(12), 12, RescaleSlope="2", RescaleIntercept="-1000")
    data = case.pop("data")
    image = make_image(CTImageStorage, "CT", study=new_uid(), series=new_uid(), **case)
    image.PixelData = data
    store(plain_site, image)
    open_viewer(page, plain_site, image.StudyInstanceUID)
    actual_pixels(page)
    drag(page, key, (20, 30), (80, 70))
    y, x = np.mgrid[0:SIZE, 0:SIZE] + 0.5
    inside = (x > 20) & (x < 80) & (y > 30) & (y < 70)
    if key == "e":
        inside = ((x - 50) / 30) ** 2 + ((y - 50) / 20) ** 2 <= 1
    values = (unsigned(12) * 2.0 - 1000)[inside]
    area = 60 * 40 * (np.pi / 4 if key == "e" else 1)
    (text,) = said(page)
    assert f"Mean {values.mean():.1f} HU" in text
    assert f"SD {values.std():.1f}" in text
    assert f"Min {values.min():.0f}, Max {values.max():.0f}" in text
    assert f"Area {area:.1f} mm²" in text


def cine_of(make_image, frames, **more):
    data = np.repeat(np.arange(1, frames + 1, dtype="u1") * 10, SIZE * SIZE * 3).tobytes()
    image = make_image(
        UltrasoundMultiFrameImageStorage, "US", study=more.pop("study", new_uid()),
        series=new_uid(), SamplesPerPixel=3, PhotometricInterpretation="RGB",
        PlanarConfiguration=0, BitsAllocated=8, BitsStored=8, HighBit=7, NumberOfFrames=frames,
        **more,
    )  # fmt: skip
    del image.WindowCenter, image.WindowWidth
    image.add_new("PixelData", "OB", data + b"\0" * (len(data) % 2))
    return image


def test_a_cine_plays_at_the_rate_it_says_and_stops(page, plain_site, make_image):
    image = cine_of(make_image, 6, FrameTime="100", FrameIncrementPointer=0x00181063)
    store(plain_site, image)
    open_viewer(page, plain_site, image.StudyInstanceUID)
    assert page.locator("#rate").input_value() == "10"
    page.keyboard.press(" ")
    seen = set()
    while len(seen) < 6:
        seen.add(page.locator(".at-lower-left").first.inner_text().splitlines()[0])
    assert page.get_by_label("Play").get_attribute("aria-pressed") == "true"
    page.keyboard.press(" ")
    assert page.get_by_label("Play").get_attribute("aria-pressed") == "false"

    def stands_still():
        """Tell whether the image of now is that of four images later; the last may come late."""
        before = page.locator(".at-lower-left").first.inner_text()
        page.wait_for_timeout(400)
        return page.locator(".at-lower-left").first.inner_text() == before

    def shows_what_it_says():
        there = page.locator(".at-lower-left").first.inner_text()
        number = int(re.search(r"Image (\d)", there)[1])
        return (actual_pixels(page) == 10 * number).all()

    until(lambda: stands_still() and shows_what_it_says())


def test_cines_of_a_series_are_stacks_of_their_own(page, plain_site, make_image):
    first = cine_of(make_image, 3)
    second = cine_of(make_image, 2, study=first.StudyInstanceUID)
    second.SeriesInstanceUID, second.InstanceNumber = first.SeriesInstanceUID, 2
    store(plain_site, first, second)
    open_viewer(page, plain_site, first.StudyInstanceUID)
    wait_for_image(page, 1, 3)
    page.keyboard.press("ArrowRight")
    wait_for_image(page, 1, 2)
    open_viewer(
        page, plain_site, first.StudyInstanceUID, f"?instance={second.SOPInstanceUID}&frame=2"
    )
    wait_for_image(page, 2, 2)


def test_several_series_are_seen_side_by_side(page, plain_site, make_image):
    images = series_of(make_image, 3)
    other = series_of(make_image, 2, study=images[0].StudyInstanceUID, SeriesNumber=2)
    store(plain_site, *images, *other)
    open_viewer(page, plain_site, images[0].StudyInstanceUID)
    page.keyboard.press("g")
    page.locator(".at-lower-left", has_text="Image 1 / 2").wait_for()
    page.locator(".screen").nth(1).click()
    page.keyboard.press("ArrowDown")
    page.locator(".at-lower-left", has_text="Image 2 / 2").wait_for()
    page.locator(".at-lower-left", has_text="Image 1 / 3").wait_for()


def test_slices_show_where_they_cut_each_other(page, plain_site, make_image):
    """An axial slice at z = 40, and a sagittal image whose rows go down from z = 100."""
    axial, other = (
        make_image(CTImageStorage, "CT", study="1.2.826.0.1.98.77", series=new_uid())
        for _ in range(2)
    )
    axial.StudyInstanceUID = other.StudyInstanceUID = new_uid()
    axial.ImagePositionPatient = [0, 0, 40]
    other.SeriesNumber, other.ImagePositionPatient = 2, [64, 0, 100]
    other.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    store(plain_site, axial, other)
    open_viewer(page, plain_site, axial.StudyInstanceUID)
    page.keyboard.press("g")
    line = page.locator(".viewport").nth(1).locator(".cut")
    line.wait_for(state="attached")
    box = page.locator(".screen").nth(1).bounding_box()
    zoom = min(box["width"], box["height"]) / SIZE
    expected = box["height"] / 2 + (60.5 - SIZE / 2) * zoom
    assert float(line.get_attribute("y1")) == pytest.approx(expected, abs=1.5)
    assert float(line.get_attribute("y2")) == pytest.approx(expected, abs=1.5)
    assert page.locator(".viewport").first.locator(".cut").count() == 0


def test_stacks_of_one_body_are_scrolled_together(page, plain_site, make_image):
    """Slices 2 mm apart beside slices 4 mm apart: the nearest is shown."""
    fine = series_of(make_image, 9)
    coarse = series_of(make_image, 5, study=fine[0].StudyInstanceUID, SeriesNumber=2)
    for number, image in enumerate(coarse):
        image.ImagePositionPatient = [0, 0, 2 + 4 * number]
    store(plain_site, *fine, *coarse)
    open_viewer(page, plain_site, fine[0].StudyInstanceUID)
    page.keyboard.press("g")
    page.locator(".at-lower-left", has_text="Image 1 / 5").wait_for()
    page.keyboard.press("End")
    wait_for_image(page, 9, 9)
    page.locator(".at-lower-left", has_text="Image 1 / 5").wait_for()
    page.keyboard.press("y")
    page.locator(".at-lower-left", has_text="Image 5 / 5").wait_for()
    page.keyboard.press("Home")
    page.locator(".at-lower-left", has_text="Image 1 / 5").wait_for()


def test_everything_can_be_done_by_keys(page, plain_site, make_image):
    """Dragging has another way (WCAG 2.2, 2.1.1 and 2.5.7)."""
    image = make_image(CTImageStorage, "CT", study=new_uid(), series=new_uid())
    store(plain_site, image)
    open_viewer(page, plain_site, image.StudyInstanceUID)
    corner = page.locator(".at-lower-right").first
    page.keyboard.press("Shift+ArrowRight")
    corner.get_by_text("W 2064").wait_for()
    page.keyboard.press("Shift+ArrowDown")
    corner.get_by_text("C 1040").wait_for()
    actual_pixels(page)
    page.keyboard.press("m")
    page.keyboard.press("Shift+ArrowRight")
    assert np.nonzero(shown(page)[..., 0])[1].max() == shown(page).shape[1] // 2 + SIZE // 2 + 7
    page.keyboard.press("+")
    corner.get_by_text("Zoom 125 %").wait_for()
    page.get_by_label("Length").click()
    page.keyboard.press("ArrowDown")  # the button has the focus, and keys go on
    assert page.get_by_label("Length").get_attribute("aria-pressed") == "true"


def test_attributes_of_an_image_are_a_key_away(page, plain_site, make_image):
    images = series_of(make_image, 2)
    store(plain_site, *images)
    open_viewer(page, plain_site, images[0].StudyInstanceUID)
    page.keyboard.press("ArrowDown")
    wait_for_image(page, 2, 2)
    with page.context.expect_page() as opened:
        page.keyboard.press("q")
    opened.value.locator("h1", has_text="2").wait_for()
    opened.value.get_by_text(images[1].SOPInstanceUID).first.wait_for()


def test_numbers_that_cannot_be_meant_do_no_harm(forgiving_page, plain_site, make_image):
    page = forgiving_page
    (image,) = series_of(make_image, 1)
    image.NumberOfFrames = 2_000_000_000
    image.PixelSpacing = ["1e-300", "1e300"]
    image.RescaleSlope, image.RescaleIntercept = "1e300", "-1e300"
    image.FrameTime, image.PatientOrientation = "1e-200", ["ZZZ", "QQQ"]
    store(plain_site, image)
    page.goto(f"{plain_site.url}/ui/viewer/{image.StudyInstanceUID}")
    # It has one frame, whatever it says.
    page.locator(".at-lower-left", has_text="Image 1 / 100000").first.wait_for()
    page.keyboard.press("ArrowDown")
    page.locator(".at-lower-left", has_text="Image 2 / 100000").first.wait_for()
    page.locator(".message", has_text="This image cannot be shown.").first.wait_for()
    page.keyboard.press("?")
    page.get_by_role("heading", name="Help").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser, plain_site, make_image, pacs_dataset, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    images = series_of(make_image, 2)
    report = sample(pacs_dataset, "SR", StudyInstanceUID=images[0].StudyInstanceUID)
    store(plain_site, *images, report, ecg(pacs_dataset, images[0].StudyInstanceUID))
    context = browser.new_context(color_scheme=scheme, locale="en-US")
    page = context.new_page()
    open_viewer(page, plain_site, images[0].StudyInstanceUID)
    found = [axe.Axe().run(page).response["violations"]]
    page.keyboard.press("?")
    found.append(axe.Axe().run(page).response["violations"])
    page.keyboard.press("Escape")
    addresses = [
        page.locator(f'.set[data-kind="{kind}"]').get_attribute("data-page")
        for kind in ("report", "other")
    ]
    for address in addresses:
        page.goto(plain_site.url + address)
        found.append(axe.Axe().run(page).response["violations"])
    context.close()
    assert found == [[], [], [], []]


def test_the_mouse_zooms_moves_and_corrects(page, plain_site, make_image):
    (image,) = series_of(make_image, 1)
    store(plain_site, image)
    open_viewer(page, plain_site, image.StudyInstanceUID)
    actual_pixels(page)
    corner = page.locator(".at-lower-right").first
    page.mouse.move(*at(page, 64, 64))
    page.mouse.down(button="right")
    page.mouse.move(*at(page, 64, 0), steps=3)
    page.mouse.up(button="right")
    corner.get_by_text("Zoom 189 %").wait_for()  # 1.01 to the power of 64
    page.keyboard.press("x")
    page.mouse.move(*at(page, 64, 64))
    page.mouse.down(button="middle")
    page.mouse.move(*at(page, 94, 44), steps=3)
    page.mouse.up(button="middle")
    shown_at = np.nonzero(shown(page)[..., 0])
    box = page.locator(".screen").first.bounding_box()
    middle = (
        (shown_at[1].min() + shown_at[1].max()) / 2,
        (shown_at[0].min() + shown_at[0].max()) / 2,
    )
    assert middle[0] - box["width"] / 2 == pytest.approx(30, abs=1)
    assert middle[1] - box["height"] / 2 == pytest.approx(-20, abs=1)
    actual_pixels(page)
    drag(page, "l", (10, 20), (50, 20))
    assert said(page) == ["40.0 mm"]
    drag(page, "w", (50, 20), (90, 20))  # by its handle, whatever the tool
    assert said(page) == ["80.0 mm"]
    drag(page, "w", (30, 20), (40, 60))  # all of it
    assert said(page) == ["80.0 mm"]
    page.keyboard.press("Escape")
    page.locator(".measure.selected").wait_for(state="detached")


def test_what_is_seen_is_saved(page, plain_site, make_image):
    (image,) = series_of(make_image, 1)
    store(plain_site, image)
    open_viewer(page, plain_site, image.StudyInstanceUID)
    actual_pixels(page)
    drag(page, "l", (10, 20), (110, 20))
    with page.expect_download() as started:
        page.get_by_label("Save the picture").click()
    assert started.value.suggested_filename == f"{image.SOPInstanceUID}-1.png"
    with Image.open(started.value.path()) as saved:
        picture = np.asarray(saved.convert("RGB")).astype(int)
    is_mark = (picture[..., 0] > 200) & (picture[..., 1] > 160) & (picture[..., 2] < 120)
    assert is_mark.sum() > 100
    assert picture.shape == shown(page).shape


def test_it_works_below_any_path(page, proxied_site, make_image, pacs_dataset):
    images = series_of(make_image, 2)
    report = sample(pacs_dataset, "SR", StudyInstanceUID=images[0].StudyInstanceUID)
    store(proxied_site, *images, report)
    assert proxied_site.url.endswith("/a/pacs")
    open_viewer(page, proxied_site, images[0].StudyInstanceUID)
    page.keyboard.press("ArrowDown")
    wait_for_image(page, 2, 2)
    page.locator(".set", has_text="SR").click()
    page.frame_locator(".document iframe").locator("h1").wait_for()


def test_it_speaks_german(browser, plain_site, make_image):
    (image,) = series_of(make_image, 1)
    store(plain_site, image)
    context = browser.new_context(locale="de-DE")
    page = context.new_page()
    page.goto(f"{plain_site.url}/ui/viewer/{image.StudyInstanceUID}")
    page.locator(".at-lower-left", has_text="Bild 1 / 1").first.wait_for()
    page.locator("#windows option", has_text="Lunge").first.wait_for(state="attached")
    page.keyboard.press("?")
    page.get_by_role("heading", name="Hilfe").wait_for()
    context.close()


def test_what_was_looked_at_is_audited(plain_site, page, make_image):
    (image,) = series_of(make_image, 1)
    store(plain_site, image)
    open_viewer(page, plain_site, image.StudyInstanceUID)
    trail = "".join(path.read_text() for path in plain_site.directory.rglob("*.jsonl"))
    lines = [line for line in trail.splitlines() if image.StudyInstanceUID in line]
    assert any("web-ui.viewed" in line for line in lines)


def sample(pacs_dataset, modality, **values):
    """Return a sample that is no image, as a Dataset."""
    made = pacs_dataset(modality, **values)
    head = file_meta(made.sop_class_uid, made.sop_instance_uid, ExplicitVRLittleEndian)
    return dcmread(io.BytesIO(head + made.encode()))


def code(meaning, value="1"):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "99TEST", meaning
    return [item]


def content(kind, name="", relation="CONTAINS", **values):
    item = Dataset()
    item.RelationshipType, item.ValueType = relation, kind
    if name:
        item.ConceptNameCodeSequence = code(name)
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def test_a_report_is_read_and_leads_to_its_image(page, plain_site, make_image, pacs_dataset):
    images = series_of(make_image, 3)
    report = sample(pacs_dataset, "SR", StudyInstanceUID=images[0].StudyInstanceUID)
    measured, reference = Dataset(), Dataset()
    measured.NumericValue, measured.MeasurementUnitsCodeSequence = "12.5", code("millimetre", "mm")
    reference.ReferencedSOPClassUID = CTImageStorage
    reference.ReferencedSOPInstanceUID = images[2].SOPInstanceUID
    source = content("IMAGE", "Source", "INFERRED FROM", ReferencedSOPSequence=[reference])
    size = content("NUM", "Size", MeasuredValueSequence=[measured], ContentSequence=[source])
    text = content("TEXT", HOSTILE[:64], TextValue=HOSTILE)
    report.ContentSequence = [content("CONTAINER", "Findings", ContentSequence=[size, text])]
    store(plain_site, *images, report)
    open_viewer(page, plain_site, images[0].StudyInstanceUID)
    page.locator(".set", has_text="SR").click()
    document = page.frame_locator(".document iframe")
    document.get_by_role("heading", name="Findings").wait_for()
    assert "Size 12.5 millimetre" in " ".join(document.locator(".num p").first.inner_text().split())
    assert HOSTILE in document.locator(".text .value").inner_text()
    document.get_by_role("link", name="CT Image").click()
    wait_for_image(page, 3, 3)
    assert page.title() != "owned"


CDA = """<ClinicalDocument xmlns="urn:hl7-org:v3"><title>Befund</title><component>
<structuredBody><component><section><title>Thorax</title><text><paragraph>Kein
<content styleCode="Bold" onclick="document.title='owned'">Infiltrat</content></paragraph>
<script>document.title='owned'</script></text></section></component></structuredBody></component>
</ClinicalDocument>"""


def test_a_clinical_document_is_shown_as_a_page(page, plain_site, pacs_dataset):
    """HL7 CDA (PS3.3 A.45.2); nothing in it runs."""
    study, content = new_uid(), CDA.encode()
    document = sample(
        pacs_dataset,
        "PDF",
        StudyInstanceUID=study,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.104.2",
        MIMETypeOfEncapsulatedDocument="text/XML",
        EncapsulatedDocument=content + b"\0" * (len(content) % 2),
    )
    store(plain_site, document)
    page.goto(f"{plain_site.url}/ui/viewer/{study}")
    shown_page = page.frame_locator(".document iframe")
    shown_page.get_by_role("heading", name="Thorax").wait_for()
    assert shown_page.locator("strong").text_content() == "Infiltrat"
    assert shown_page.locator("main").evaluate("(main) => getComputedStyle(main).maxWidth") == (
        "800px"
    )
    assert "owned" not in page.title()
    page.locator(".set", has_text="CDA").wait_for()


def test_a_pdf_is_shown(page, plain_site, pacs_dataset):
    study, document = new_uid(), io.BytesIO()
    Image.new("RGB", (600, 800), (0, 0, 255)).save(document, "PDF")
    data = document.getvalue() + b" " * (len(document.getvalue()) % 2)
    pdf = sample(pacs_dataset, "PDF", StudyInstanceUID=study, EncapsulatedDocument=data)
    store(plain_site, pdf)
    page.goto(f"{plain_site.url}/ui/viewer/{study}")
    page.locator(".document iframe").wait_for()
    for _ in range(60):
        picture = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB")).astype(int)
        is_blue = (picture[..., 2] > 240) & (picture[..., :2].max(-1) < 20)
        if is_blue.mean() > 0.1:
            return
        page.wait_for_timeout(500)
    raise AssertionError("the document is not to be seen")


def test_what_is_no_picture_says_what_it_is(page, plain_site, make_image, pacs_dataset):
    images = series_of(make_image, 3, SeriesDescription="Thorax")
    structures = sample(
        pacs_dataset,
        "RTSTRUCT",
        StudyInstanceUID=images[0].StudyInstanceUID,
        StructureSetLabel="Plan A",
    )
    region, reference, contour = Dataset(), Dataset(), Dataset()
    region.ROINumber, region.ROIName = 1, HOSTILE[:64]
    reference.ReferencedSOPClassUID = CTImageStorage
    reference.ReferencedSOPInstanceUID = images[1].SOPInstanceUID
    contour.ContourImageSequence = [reference]
    structures.StructureSetROISequence = [region]
    structures.ROIContourSequence = [Dataset()]
    structures.ROIContourSequence[0].ContourSequence = [contour]
    store(plain_site, *images, structures)
    uid = structures.SOPInstanceUID
    page.goto(f"{plain_site.url}/ui/viewer/{images[0].StudyInstanceUID}?instance={uid}")
    overview = page.frame_locator(".document iframe")
    overview.get_by_role("heading", name="RT Structure Set").wait_for()
    assert overview.locator("dd").first.inner_text() == "Plan A"
    assert overview.get_by_text(HOSTILE[:64]).is_visible()
    with page.expect_download() as told:
        overview.get_by_role("link", name="Download").click()
    assert told.value.path().read_bytes()[128:132] == b"DICM"
    overview.get_by_role("link", name="Thorax").click()
    wait_for_image(page, 2, 3)
    page.locator(".set", has_text="RTSTRUCT").click()
    overview.get_by_role("link", name="All attributes").click()
    page.get_by_role("heading", name="All attributes").wait_for()
    assert page.title() != "owned"


def test_a_presentation_state_shows_what_it_presents(page, plain_site, make_image, pacs_dataset):
    (image,) = series_of(make_image, 1)
    state = sample(
        pacs_dataset,
        "SR",
        StudyInstanceUID=image.StudyInstanceUID,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.11.1",
    )
    del state.ContentSequence
    state.Modality, state.ContentLabel = "PR", "TURNED"
    state.ImageRotation, state.ImageHorizontalFlip = 90, "N"
    state.PresentationLUTShape = "INVERSE"
    series, reference = Dataset(), Dataset()
    reference.ReferencedSOPClassUID = CTImageStorage
    reference.ReferencedSOPInstanceUID = image.SOPInstanceUID
    series.SeriesInstanceUID = image.SeriesInstanceUID
    series.ReferencedImageSequence = [reference]
    state.ReferencedSeriesSequence = [series]
    store(plain_site, image, state)
    page.goto(
        f"{plain_site.url}/ui/viewer/{image.StudyInstanceUID}?instance={state.SOPInstanceUID}"
    )
    overview = page.frame_locator(".document iframe")
    overview.get_by_role("heading", name="Grayscale Softcopy Presentation State").wait_for()
    picture = overview.locator(".presented")
    until(lambda: picture.evaluate("(picture) => picture.naturalWidth") > 100, 30.0)
    assert overview.get_by_text("TURNED").is_visible()
    overview.get_by_role("link", name="CT ramp").click()
    wait_for_image(page, 1, 1)
    state.StudyInstanceUID, state.SeriesInstanceUID = new_uid(), new_uid()
    state.SOPInstanceUID = state.file_meta.MediaStorageSOPInstanceUID = new_uid()
    store(plain_site, state)  # and none of its images is in its study
    page.goto(f"{plain_site.url}/ui/viewer/{state.StudyInstanceUID}")
    overview.get_by_text("There is no picture of this.").wait_for()
    assert picture.count() == 0


def ecg(pacs_dataset, study):
    """Return an ECG of two leads: pulses of 1 mV that last 100 ms, each second, for 4 s."""
    made = sample(
        pacs_dataset, "SR", StudyInstanceUID=study, SOPClassUID="1.2.840.10008.5.1.4.1.1.9.1.1"
    )
    del made.ContentSequence
    made.Modality, group = "ECG", Dataset()
    pulses = np.where(np.arange(2000) % 500 < 50, 400, 0).astype("<i2")
    group.ChannelDefinitionSequence = [Dataset(), Dataset()]
    for channel, name in zip(group.ChannelDefinitionSequence, ("I", "II"), strict=True):
        channel.ChannelLabel, channel.ChannelSensitivity = name, "2.5"
        channel.ChannelSensitivityUnitsSequence = code("microvolt", "uV")
        channel.ChannelBaseline, channel.ChannelSensitivityCorrectionFactor = "0", "1"
    group.NumberOfWaveformChannels, group.NumberOfWaveformSamples = 2, 2000
    group.SamplingFrequency, group.WaveformBitsAllocated = "500", 16
    group.WaveformSampleInterpretation = "SS"
    group.add_new("WaveformData", "OW", np.stack([pulses, -pulses], axis=1).tobytes())
    made.WaveformSequence = [group]
    return made


def test_an_ecg_is_drawn_to_scale(page, plain_site, pacs_dataset):
    """PS3.3 C.10.9: 25 mm a second, 10 mm a millivolt."""
    study = new_uid()
    store(plain_site, ecg(pacs_dataset, study))
    page.goto(f"{plain_site.url}/ui/viewer/{study}")
    overview = page.frame_locator(".document iframe")
    overview.get_by_text("25 mm/s · 10 mm/mV · 500 Hz · 4.0 s").wait_for()
    assert overview.locator("svg text").all_text_contents() == ["I", "II"]
    millimetre = 96 / 25.4
    for line in overview.locator("svg .line").all():
        box = line.bounding_box()
        # A stroke of 0.3 mm may be within it.
        assert box["width"] / millimetre == pytest.approx(4 * 25, abs=0.5)
        assert box["height"] / millimetre == pytest.approx(10, abs=0.5)
    first, second = (line.get_attribute("d") for line in overview.locator("svg .line").all())
    assert first.startswith("M0.00 5.00L0.05 5.00")  # up
    assert second.startswith("M0.00 35.00L0.05 35.00")  # down


def test_markup_in_attributes_is_text(page, plain_site, make_image):
    values = {
        "PatientName": f"{HOSTILE[:60]}^X", "SeriesDescription": HOSTILE[:64],
        "StudyDescription": HOSTILE[:64], "ImageLaterality": "<b>", "ViewPosition": "<IMG SRC=X>",
        "RescaleType": "<b>", "WindowCenterWidthExplanation": HOSTILE[:64],
        "PatientOrientation": ["<b>", "<i>"],
    }  # fmt: skip
    with pytest.warns(UserWarning, match="."):
        images = series_of(make_image, 2, **values)
    store(plain_site, *images)
    open_viewer(page, plain_site, images[0].StudyInstanceUID)
    assert "<script>" in page.locator(".set strong").inner_text()
    assert "<script>" in page.locator(".at-upper-left").first.inner_text()
    assert "<script>" in page.locator("#windows").inner_text()
    assert page.locator("main b, main i, .corner img").count() == 0
    assert page.title() != "owned"


def test_what_cannot_be_decoded_says_why_and_the_rest_goes_on(
    forgiving_page, plain_site, make_image
):
    page = forgiving_page
    images = series_of(make_image, 3)
    images[1].PixelData = images[1].PixelData[:100]
    store(plain_site, *images)
    page.goto(f"{plain_site.url}/ui/viewer/{images[0].StudyInstanceUID}")
    wait_for_image(page, 1, 3)
    page.keyboard.press("ArrowDown")
    page.locator(".message", has_text="This image cannot be shown. P").first.wait_for()
    page.keyboard.press("ArrowDown")
    wait_for_image(page, 3, 3)
    page.locator(".message", has_text="cannot be shown").first.wait_for(state="hidden")


def test_a_study_that_is_not_there_has_no_viewer(page, plain_site):
    import httpx

    answer = httpx.get(f"{plain_site.url}/ui/viewer/1.2.3.4.5", timeout=30)
    assert answer.status_code == 404


def test_the_page_may_load_nothing_but_its_own(plain_site, make_image):
    import httpx

    (image,) = series_of(make_image, 1)
    store(plain_site, image)
    answer = httpx.get(f"{plain_site.url}/ui/viewer/{image.StudyInstanceUID}", timeout=30)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    modules = re.findall(r'src="([^"]+\.js)"', answer.text)
    assert len(modules) == 1
    module = httpx.get(plain_site.url + modules[0], timeout=30)
    assert "immutable" in module.headers["cache-control"]
    assert module.headers["content-type"].startswith("text/javascript")
    older = modules[0].replace("/files/", "/files/0")
    assert httpx.get(plain_site.url + older, timeout=30).headers["cache-control"] == "no-store"
    assert httpx.get(plain_site.url + modules[0] + "x", timeout=30).status_code == 404
