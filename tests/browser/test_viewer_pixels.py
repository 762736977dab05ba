"""What the built-in viewer shows, pixel by pixel, beside the functions of the standard in numpy."""

import base64
import io

import httpx
import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    MRImageStorage,
    ParametricMapStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
    UltrasoundMultiFrameImageStorage,
    XRayAngiographicImageStorage,
    generate_uid,
)

pytestmark = [
    pytest.mark.peer("chromium"),
    pytest.mark.xdist_group("viewer"),
]
SIZE = 128


def new_uid():
    return generate_uid(prefix="1.2.826.0.1.98.")


def store(site, *datasets):
    for dataset in datasets:
        buffer = io.BytesIO()
        dataset.save_as(buffer, enforce_file_format=True)
        headers = {"content-type": "application/dicom"}
        url = f"{site.url}/dicom-web/studies"
        answer = httpx.post(url, content=buffer.getvalue(), headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text


def open_viewer(page, site, study, query=""):
    page.goto(f"{site.url}/ui/viewer/{study}{query}")
    page.locator(".at-lower-right", has_text="Zoom").first.wait_for()


def shown(page, viewport=0):
    """Return the canvas of a viewport, once it has been drawn."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))")
    canvas = page.locator(".viewport canvas").nth(viewport)
    encoded = canvas.evaluate("canvas => canvas.toDataURL()").partition(",")[2]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")).astype(int)


def actual_pixels(page, rows=SIZE, columns=SIZE):
    """Return the image, shown so that each of its pixels is one of the screen."""
    page.keyboard.press("x")
    page.locator(".at-lower-right", has_text="Zoom 100 %").first.wait_for(state="attached")
    picture = shown(page)
    top = (picture.shape[0] - rows + 1) // 2
    left = (picture.shape[1] - columns + 1) // 2
    outside = picture.copy()
    outside[top : top + rows, left : left + columns] = 0
    assert not outside.any()
    return picture[top : top + rows, left : left + columns]


def linear(values, centre, width):
    """PS3.3 C.11.2.1.2.1, as it is written there."""
    low, high = centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
    with np.errstate(all="ignore"):
        between = ((values - (centre - 0.5)) / (width - 1) + 0.5) * 255
    return np.select([values <= low, values > high], [0, 255], between)


def linear_exact(values, centre, width):
    """PS3.3 C.11.2.1.3.2."""
    between = ((values - centre) / width + 0.5) * 255
    return np.select([values <= centre - width / 2, values > centre + width / 2], [0, 255], between)


def sigmoid(values, centre, width):
    """PS3.3 C.11.2.1.3.1."""
    return 255 / (1 + np.exp(-4 * (values - centre) / width))


FIELD = np.linspace(0, 1, SIZE * SIZE).reshape(SIZE, SIZE)  # rises along rows, and over them


def unsigned(bits):
    return np.rint(FIELD * (2**bits - 1)).astype(
        "<u4" if bits > 16 else "<u2" if bits > 8 else "u1"
    )


def signed(bits):
    return np.floor((FIELD - 0.5) * (2**bits - 1)).astype("<i2")


def native(stored, bits, *, is_signed=False, allocated=None, **more):
    allocated = allocated or stored.itemsize * 8
    data = stored.tobytes() if allocated > 1 else np.packbits(stored, bitorder="little").tobytes()
    return {
        "BitsAllocated": allocated, "BitsStored": bits, "HighBit": bits - 1,
        "PixelRepresentation": int(is_signed), "data": data, **more,
    }  # fmt: skip


def make(make_image, case, sop_class=CTImageStorage, modality="CT"):
    data = case.pop("data")
    is_bare = "WindowCenter" not in case
    image = make_image(sop_class, modality, study=new_uid(), series=new_uid(), **case)
    if is_bare:
        del image.WindowCenter, image.WindowWidth
    image.PixelData = data
    image["PixelData"].VR = "OW" if image.BitsAllocated > 8 else "OB"
    return image


def table_of(count, first, bits, entries):
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [count % 65536, first % 65536, bits])
    item.add_new("LUTData", "OW", np.asarray(entries, "<u2").tobytes())
    return [item]


HU = {"RescaleSlope": "1", "RescaleIntercept": "-1024", "RescaleType": "HU"}
TWELVE, SIXTEEN, MINUS = unsigned(12), unsigned(16), signed(12)
CURVE = np.rint(np.sqrt(np.linspace(0, 1, 4096)) * 65535)
GREYS = {
    "window": (
        native(TWELVE, 12, WindowCenter=40, WindowWidth=400, **HU),
        linear(TWELVE - 1024.0, 40, 400),
    ),
    "first of several windows": (
        native(TWELVE, 12, WindowCenter=[300, 40], WindowWidth=[1500, 80], **HU),
        linear(TWELVE - 1024.0, 300, 1500),
    ),
    "signed": (
        native(MINUS, 12, is_signed=True, WindowCenter=-100, WindowWidth=1500),
        linear(MINUS.astype(float), -100, 1500),
    ),
    "signed, with bits of an overlay above": (
        native(
            ((MINUS.astype("<u2") & 0xFFF) | 0x5000).astype("<u2"), 12, is_signed=True,
            WindowCenter=-100, WindowWidth=1500,
        ),
        linear(MINUS.astype(float), -100, 1500),
    ),
    "samples in the high bits": (
        native(TWELVE << 4, 12, WindowCenter=2000, WindowWidth=4000) | {"HighBit": 15},
        linear(TWELVE.astype(float), 2000, 4000),
    ),
    "slope": (
        native(SIXTEEN, 16, RescaleSlope="0.25", RescaleIntercept="-3000.5",
               WindowCenter=2000.25, WindowWidth=9000.5),
        linear(SIXTEEN * 0.25 - 3000.5, 2000.25, 9000.5),
    ),
    "negative slope": (
        native(TWELVE, 12, RescaleSlope="-1", RescaleIntercept="500",
               WindowCenter=-1500, WindowWidth=2000),
        linear(500.0 - TWELVE, -1500, 2000),
    ),
    "width of one": (
        native(TWELVE, 12, WindowCenter=2000, WindowWidth=1),
        np.where(TWELVE > 1999.5, 255, 0),
    ),
    "linear exact": (
        native(TWELVE, 12, WindowCenter=2000, WindowWidth=2500, VOILUTFunction="LINEAR_EXACT"),
        linear_exact(TWELVE.astype(float), 2000, 2500),
    ),
    "sigmoid": (
        native(TWELVE, 12, WindowCenter=2000, WindowWidth=2500, VOILUTFunction="SIGMOID"),
        sigmoid(TWELVE.astype(float), 2000, 2500),
    ),
    "no window": (native(TWELVE, 12), linear_exact(TWELVE.astype(float), 2047.5, 4095)),
    "no window, and padding": (
        native(np.where(FIELD < 0.25, -2000, signed(10)).astype("<i2"), 12, is_signed=True,
               PixelPaddingValue=-2000),
        linear_exact(np.where(FIELD < 0.25, -2000.0, signed(10)),
                     (511 + signed(10)[FIELD >= 0.25].min()) / 2.0,
                     511.0 - signed(10)[FIELD >= 0.25].min()),
    ),
    "an impossible window": (
        native(TWELVE, 12, WindowCenter=[0, 2000], WindowWidth=[0, 3000]),
        linear(TWELVE.astype(float), 2000, 3000),
    ),
    "white is low": (
        native(TWELVE, 12, PhotometricInterpretation="MONOCHROME1",
               WindowCenter=2000, WindowWidth=3000),
        255 - linear(TWELVE.astype(float), 2000, 3000),
    ),
    "white is low, and said so twice": (
        native(TWELVE, 12, PhotometricInterpretation="MONOCHROME1",
               PresentationLUTShape="INVERSE", WindowCenter=2000, WindowWidth=3000),
        255 - linear(TWELVE.astype(float), 2000, 3000),
    ),
    "VOI LUT": (
        native(TWELVE, 12, VOILUTSequence=table_of(4096, 0, 16, CURVE)),
        CURVE[TWELVE] / 65535 * 255,
    ),
    "VOI LUT of negative values": (
        native(MINUS, 12, is_signed=True, VOILUTSequence=table_of(4096, -2048, 16, CURVE)),
        CURVE[MINUS.astype(int) + 2048] / 65535 * 255,
    ),
    "Modality LUT": (
        native(TWELVE, 12, ModalityLUTSequence=table_of(4096, 0, 16, CURVE),
               WindowCenter=30000, WindowWidth=60000),
        linear(CURVE[TWELVE], 30000, 60000),
    ),
    "8 bits": (
        native(unsigned(8), 8, WindowCenter=100, WindowWidth=200),
        linear(unsigned(8).astype(float), 100, 200),
    ),
    "1 bit": (
        native(unsigned(1), 1, allocated=1),
        unsigned(1) * 255.0,
    ),
    "32 bits": (
        native(unsigned(24).astype("<u4"), 24, WindowCenter=8e6, WindowWidth=1.6e7),
        linear(unsigned(24).astype(float), 8e6, 1.6e7),
    ),
}  # fmt: skip


DISTINCT = {
    "window",
    "signed",
    "white is low",
    "VOI LUT",
    "Modality LUT",
    "sigmoid",
    "width of one",
}
"""What differs in kind; the others are variants of them."""


@pytest.mark.parametrize(
    "name",
    [pytest.param(each, marks=() if each in DISTINCT else pytest.mark.long) for each in GREYS],
)
def test_greys_are_those_of_the_standard(page, plain_site, make_image, name):
    given, expected = GREYS[name]
    image = make(make_image, dict(given))
    store(plain_site, image)
    open_viewer(page, plain_site, image.StudyInstanceUID)
    found = actual_pixels(page)
    assert (np.ptp(found, axis=2) == 0).all()
    assert np.abs(found[..., 0] - expected).max() <= 0.501  # rounded


@pytest.mark.parametrize("keyword", ["FloatPixelData", "DoubleFloatPixelData"])
def test_floats_are_numbers(page, plain_site, make_image, keyword):
    """Parametric maps (PS3.3 C.7.6.24, .25): their bits were shown as if they were integers."""
    values = (FIELD - 0.25).astype("<f4" if keyword == "FloatPixelData" else "<f8")
    values[0, 0] = np.nan
    image = make_image(ParametricMapStorage, "MR", study=new_uid(), series=new_uid())
    for each in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(image, each)
    del image.WindowCenter, image.WindowWidth
    image.BitsAllocated = 8 * values.itemsize
    setattr(image, keyword, values.tobytes())
    store(plain_site, image)
    open_viewer(page, plain_site, image.StudyInstanceUID)
    found = actual_pixels(page)
    expected = linear_exact(values, 0.25, 1.0)
    expected[0, 0] = 0
    assert np.abs(found[..., 0] - expected).max() <= 1
    assert page.locator(".at-lower-right").first.text_content().endswith("C 0.25  W 1")


SYNTAXES = [RLELossless, JPEGLSLossless, JPEG2000Lossless, ImplicitVRLittleEndian,
            DeflatedExplicitVRLittleEndian]  # fmt: skip


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda uid: uid.name)
def test_what_is_compressed_looks_the_same(page, plain_site, make_image, syntax):
    image = make(make_image, native(MINUS, 12, is_signed=True, WindowCenter=0, WindowWidth=3000))
    if syntax.is_encapsulated:
        image.compress(syntax)
    else:
        image.file_meta.TransferSyntaxUID = syntax
    store(plain_site, image)
    open_viewer(page, plain_site, image.StudyInstanceUID)
    found = actual_pixels(page)[..., 0]
    assert np.abs(found - linear(MINUS.astype(float), 0, 3000)).max() <= 0.501


def colours():
    red, green = np.meshgrid(np.arange(SIZE) * 2, np.arange(SIZE) * 2)
    return np.stack([red, green, 255 - red], -1).astype("u1")


def palette(image, bits=16):
    for colour, entries in (
        ("Red", np.arange(256)),
        ("Green", 255 - np.arange(256)),
        ("Blue", np.arange(256) // 2),
    ):
        name = f"{colour}PaletteColorLookupTable"
        image.add_new(f"{name}Descriptor", "US", [256, 0, bits])
        image.add_new(f"{name}Data", "OW", (entries * 257).astype("<u2").tobytes())


def test_colours_are_shown_as_they_are(page, plain_site, make_image):
    case = {"SamplesPerPixel": 3, "PlanarConfiguration": 0, "PhotometricInterpretation": "RGB"}
    case |= native(np.zeros(1, "u1"), 8, **case) | {"data": colours().tobytes()}
    image = make(make_image, case, SecondaryCaptureImageStorage, "OT")
    store(plain_site, image)
    open_viewer(page, plain_site, image.StudyInstanceUID)
    assert (actual_pixels(page) == colours()).all()
    page.keyboard.press("i")
    assert (actual_pixels(page) == 255 - colours()).all()


def test_a_palette_gives_its_colours(page, plain_site, make_image):
    image = make(make_image, native(unsigned(8), 8, PhotometricInterpretation="PALETTE COLOR"))
    palette(image)
    store(plain_site, image)
    open_viewer(page, plain_site, image.StudyInstanceUID)
    index = unsigned(8).astype(int)
    assert (actual_pixels(page) == np.stack([index, 255 - index, index // 2], -1)).all()


def test_ybr_becomes_rgb(page, plain_site, make_image):
    ybr = np.stack(
        [np.full((SIZE, SIZE), 120), *np.meshgrid(np.arange(SIZE) + 64, np.arange(SIZE) + 64)], -1
    )
    case = {"SamplesPerPixel": 3, "PlanarConfiguration": 0, "PhotometricInterpretation": "YBR_FULL"}
    case |= native(np.zeros(1, "u1"), 8, **case) | {"data": ybr.astype("u1").tobytes()}
    image = make(make_image, case, SecondaryCaptureImageStorage, "OT")
    store(plain_site, image)
    open_viewer(page, plain_site, image.StudyInstanceUID)
    y, blue, red = ybr[..., 0], ybr[..., 1] - 128.0, ybr[..., 2] - 128.0
    expected = np.stack(
        [y + 1.402 * red, y - 0.344136 * blue - 0.714136 * red, y + 1.772 * blue], -1
    )
    assert np.abs(actual_pixels(page) - expected.clip(0, 255)).max() <= 1


def group(name, **attributes):
    item, macro = Dataset(), Dataset()
    for keyword, value in attributes.items():
        setattr(macro, keyword, value)
    setattr(item, name, [macro])
    return item


def test_each_frame_has_its_own_window_and_rescaling(page, plain_site, make_image):
    """Functional groups: of each frame first, then those shared by all (PS3.3 C.7.6.16)."""
    case = native(TWELVE, 12, NumberOfFrames=2) | {"data": TWELVE.tobytes() * 2}
    image = make(make_image, case, EnhancedCTImageStorage)
    shared = group("FrameVOILUTSequence", WindowCenter=100, WindowWidth=1000)
    image.SharedFunctionalGroupsSequence = [shared]
    first = group("PixelValueTransformationSequence", RescaleSlope=1, RescaleIntercept=-1000)
    second = group("PixelValueTransformationSequence", RescaleSlope=2, RescaleIntercept=-3000)
    second.FrameVOILUTSequence = group("X", WindowCenter=0, WindowWidth=500).X
    image.PerFrameFunctionalGroupsSequence = [first, second]
    store(plain_site, image)
    open_viewer(page, plain_site, image.StudyInstanceUID)
    found = actual_pixels(page)[..., 0]
    assert np.abs(found - linear(TWELVE - 1000.0, 100, 1000)).max() <= 0.501
    page.keyboard.press("ArrowDown")
    page.locator(".at-lower-left", has_text="Image 2 / 2").first.wait_for()
    found = actual_pixels(page)[..., 0]
    assert np.abs(found - linear(TWELVE * 2.0 - 3000, 0, 500)).max() <= 0.501


def test_pixels_that_are_no_squares_are_shown_in_proportion(page, plain_site, make_image):
    """Spacing of rows, then of columns (PS3.3 10.7.1.3): these pixels are twice as high as wide."""
    image = make(make_image, native(np.full_like(TWELVE, 4095), 12, WindowCenter=5, WindowWidth=9))
    image.PixelSpacing = [2, 1]
    store(plain_site, image)
    open_viewer(page, plain_site, image.StudyInstanceUID)
    rows, columns = np.nonzero(shown(page)[..., 0] > 128)
    assert np.ptp(rows) / np.ptp(columns) == pytest.approx(2, rel=0.02)


def test_what_is_shown_on_screen_follows_turns_and_flips(page, plain_site, make_image):
    image = make(make_image, native(TWELVE, 12, WindowCenter=2000, WindowWidth=4000))
    store(plain_site, image)
    open_viewer(page, plain_site, image.StudyInstanceUID)
    upright = actual_pixels(page)
    page.keyboard.press("p")
    assert (actual_pixels(page) == np.rot90(upright, -1)).all()
    assert [page.locator(f".edge-{side}").first.inner_text() for side in EDGES] == list("PRAL")
    page.keyboard.press("h")
    assert (actual_pixels(page) == np.rot90(upright, -1)[:, ::-1]).all()
    assert [page.locator(f".edge-{side}").first.inner_text() for side in EDGES] == list("ARPL")
    page.keyboard.press("u")
    page.keyboard.press("v")
    assert (actual_pixels(page) == upright[::-1]).all()


def overlay_of(mask, group=0x6000, origin=(1, 1)):
    rows, columns = mask.shape
    made = Dataset()
    made.add_new((group, 0x0010), "US", rows)
    made.add_new((group, 0x0011), "US", columns)
    made.add_new((group, 0x0040), "CS", "G")
    made.add_new((group, 0x0050), "SS", list(origin))
    made.add_new((group, 0x0100), "US", 1)
    made.add_new((group, 0x0102), "US", 0)
    bits = np.packbits(mask.ravel(), bitorder="little").tobytes()
    made.add_new((group, 0x3000), "OW", bits + b"\0" * (len(bits) % 2))
    return made


def test_overlays_lie_over_the_image(page, plain_site, make_image):
    """Two of them: of the size of the image, and a small one with an origin (PS3.3 C.9.2)."""
    image = make(make_image, native(TWELVE, 12, WindowCenter=2000, WindowWidth=6000))
    whole = np.zeros((SIZE, SIZE), bool)
    whole[10:20, 30:90] = True
    image.update(overlay_of(whole))
    image.update(overlay_of(np.ones((5, 8), bool), 0x6002, (101, 51)))
    store(plain_site, image)
    open_viewer(page, plain_site, image.StudyInstanceUID)
    covered = whole.copy()
    covered[100:105, 50:58] = True
    found = actual_pixels(page)[..., 0]
    plain = linear(TWELVE.astype(float), 2000, 6000)
    assert np.abs(found - np.where(covered, 255, plain)).max() <= 0.501
    page.keyboard.press("t")
    assert np.abs(actual_pixels(page)[..., 0] - plain).max() <= 0.501


def test_frames_are_in_the_order_of_their_places(page, plain_site, make_image):
    """However they are encoded: position and orientation are in functional groups."""
    places = [4, 0, 2, 6]
    greys = np.repeat(np.array(places, "<u2") * 100, SIZE * SIZE).tobytes()
    case = native(TWELVE, 12, NumberOfFrames=4, WindowCenter=500, WindowWidth=1000)
    image = make(make_image, case | {"data": greys}, EnhancedCTImageStorage)
    del image.ImagePositionPatient, image.ImageOrientationPatient
    orientation = group("PlaneOrientationSequence", ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    image.SharedFunctionalGroupsSequence = [orientation]
    image.PerFrameFunctionalGroupsSequence = [
        group("PlanePositionSequence", ImagePositionPatient=[0, 0, place]) for place in places
    ]
    store(plain_site, image)
    open_viewer(page, plain_site, image.StudyInstanceUID)
    seen = []
    for number in range(1, 5):
        page.locator(".at-lower-left", has_text=f"Image {number} / 4").first.wait_for()
        seen.append(int(actual_pixels(page)[0, 0, 0]))
        page.keyboard.press("ArrowDown")
    assert seen == sorted(set(seen))


EDGES = ("left", "top", "right", "bottom")


@pytest.mark.parametrize(
    ("sop_class", "modality", "values"),
    [
        (MRImageStorage, "MR", {"RescaleSlope": "0", "RescaleIntercept": "10"}),
        (
            XRayAngiographicImageStorage,
            "XA",
            {"ModalityLUTSequence": table_of(4096, 0, 16, CURVE)},
        ),
        (UltrasoundMultiFrameImageStorage, "US", {"NumberOfFrames": 1}),
    ],
    ids=["a slope of zero", "the table of an angiogram is not for display", "one frame of several"],
)
def test_what_is_odd_is_taken_as_it_is_meant(
    page, plain_site, make_image, sop_class, modality, values
):
    case = native(TWELVE, 12, WindowCenter=2000, WindowWidth=3000, **values)
    image = make(make_image, case, sop_class, modality)
    store(plain_site, image)
    open_viewer(page, plain_site, image.StudyInstanceUID)
    offset = float(values.get("RescaleIntercept", 0))
    expected = linear(TWELVE + offset, 2000, 3000)
    assert np.abs(actual_pixels(page)[..., 0] - expected).max() <= 0.501
