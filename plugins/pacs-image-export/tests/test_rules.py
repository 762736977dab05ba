"""What becomes of a frame by the rules of PS3.3, and of what breaks them."""

from contextlib import suppress
from itertools import product

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given, strategies as st
from pacs_image_export.attributes import FrameAttributes, number_of
from pacs_image_export.errors import RenderError
from pacs_image_export.render import RenderOptions, render
from pacs_image_export.tables import expand
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.pixels import apply_color_lut

from pacs_core.dataset import MalformedDataset, parse_attributes
from pacs_core.imaging import ImageError, image_of, native_format
from pacs_core.transcoding import StoredFrame

EXPLICIT = "1.2.840.10008.1.2.1"
RAMP12 = np.arange(4096, dtype="<u2").reshape(16, 256)


def frame_of(
    pixels: np.ndarray, bits: int = 0, number: int = 1, **attributes: object
) -> StoredFrame:
    """Return a frame of an array; keywords or tags set attributes, a tuple with its VR."""
    dataset = Dataset()
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    dataset.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    dataset.BitsAllocated = 8 * pixels.itemsize
    dataset.BitsStored = bits or dataset.BitsAllocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    for keyword, value in attributes.items():
        if isinstance(value, tuple):
            dataset.add_new(keyword, *value)
        else:
            setattr(dataset, keyword, value)
    return stored(dataset, pixels.tobytes(), number)


def stored(dataset: Dataset, data: bytes, number: int = 1) -> StoredFrame:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, dataset)
    header = buffer.getvalue()
    attributes = parse_attributes(header, EXPLICIT, max_length=1 << 26)
    return StoredFrame(data, native_format(image_of(attributes)), number, attributes, header)


def shown(frame: StoredFrame, window: str = "", *, overlays: bool = False) -> np.ndarray:
    picture = render(frame, RenderOptions(window, overlays))
    assert picture.warnings == ()
    return picture.pixels.astype(int)


def with_warning(frame: StoredFrame, *parts: str, window: str = "") -> np.ndarray:
    picture = render(frame, RenderOptions(window))
    for part in parts:
        assert any(part in warning for warning in picture.warnings), picture.warnings
    assert parts or not picture.warnings
    return picture.pixels.astype(int)


def lut(first: int, entries: np.ndarray, bits: int, count: int | None = None) -> Dataset:
    item = Dataset()
    number = len(entries) if count is None else count
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [number, first, bits])
    item.add_new("LUTData", "OW", entries.astype("<u2").tobytes())
    return item


# --- tables


@pytest.mark.parametrize("vr", ["US", "SS"])
def test_the_first_value_of_a_voi_lut_has_the_sign_of_the_modalitys_output(vr) -> None:
    """PS3.3 C.11.2.1.1: -1024 for Hounsfield units, though stored values are unsigned."""
    item = lut(0, np.arange(2048) // 8, 8)
    item.add_new("LUTDescriptor", vr, [2048, 64512 if vr == "US" else -1024, 8])
    frame = frame_of(RAMP12, 12, RescaleSlope=1, RescaleIntercept=-1024, VOILUTSequence=[item])
    expected = np.clip(RAMP12.astype(int), 0, 2047) // 8
    assert (shown(frame) == expected).all()


def test_the_first_value_of_a_voi_lut_after_a_modality_lut_is_unsigned() -> None:
    """PS3.3 C.11.2.1.1: a Modality LUT's output is unsigned, though stored values are signed."""
    stored_values = np.arange(-1024, 1024, dtype="<i2").reshape(8, 256)
    modality = lut(-1024, np.arange(40000, 42048), 16)
    interest = lut(40000, np.arange(2048) // 8, 8)
    frame = frame_of(stored_values, ModalityLUTSequence=[modality], VOILUTSequence=[interest])
    assert (shown(frame).ravel() == np.arange(2048) // 8).all()


def test_signed_values_that_are_rescaled_to_unsigned_ones() -> None:
    stored_values = np.arange(-1024, 1024, dtype="<i2").reshape(8, 256)
    interest = lut(0, np.arange(2048) // 8, 8)
    interest.add_new("LUTDescriptor", "US", [2048, 32768 - 1024, 8])
    more = {"RescaleSlope": 1, "RescaleIntercept": 32768}
    assert (shown(frame_of(stored_values, **more, VOILUTSequence=[interest])).ravel() >= 0).all()
    found = shown(frame_of(stored_values, **more, VOILUTSequence=[interest])).ravel()
    assert (found == np.arange(2048) // 8).all()


@pytest.mark.parametrize("empty", ["item", "data", "descriptor"])
def test_an_empty_modality_lut_item_is_ignored(empty: str) -> None:
    item = Dataset() if empty == "item" else lut(0, np.zeros(4), 16)
    if empty == "data":
        item.add_new("LUTData", "OW", b"")
    if empty == "descriptor":
        item.add_new("LUTDescriptor", "US", None)
    more = {"RescaleSlope": 2, "RescaleIntercept": 0, "WindowCenter": 4096, "WindowWidth": 8192}
    frame = frame_of(RAMP12, 12, ModalityLUTSequence=[item], **more)
    expected = shown(frame_of(RAMP12, 12, **more))
    assert (with_warning(frame, "item 1 of ModalityLUTSequence is ignored") == expected).all()
    assert len(np.unique(expected)) > 200


def test_a_voi_lut_that_is_none_gives_way_to_the_next_or_a_window() -> None:
    good = lut(0, np.arange(4096) // 16, 8)
    frame = frame_of(RAMP12, 12, VOILUTSequence=[Dataset(), good])
    assert (with_warning(frame, "item 1 of VOILUTSequence") == RAMP12 // 16).all()
    frame = frame_of(RAMP12, 12, VOILUTSequence=[Dataset()], WindowCenter=100, WindowWidth=10)
    expected = shown(frame_of(RAMP12, 12, WindowCenter=100, WindowWidth=10))
    assert (with_warning(frame, "item 1 of VOILUTSequence") == expected).all()


def test_a_table_that_is_not_what_its_descriptor_says() -> None:
    short = lut(0, np.arange(256), 8, count=4096)
    found = with_warning(frame_of(RAMP12, 12, VOILUTSequence=[short]), "there are 256 entries")
    assert (found == np.minimum(RAMP12, 255)).all()
    wide = lut(0, np.arange(4096), 8)
    found = with_warning(frame_of(RAMP12, 12, VOILUTSequence=[wide]), "have 12 bits, not 8")
    assert np.abs(found - RAMP12 * (255 / 4095)).max() <= 0.51


def test_xa_images_are_shown_without_their_modality_lut() -> None:
    """PS3.3 C.8.7.1.1.2: it leads back to intensities of X-Rays."""
    item = lut(0, np.arange(4096)[::-1], 12)
    uid = "1.2.840.10008.5.1.4.1.1.12.1"
    frame = frame_of(RAMP12, 12, ModalityLUTSequence=[item], SOPClassUID=uid)
    assert (shown(frame) == shown(frame_of(RAMP12, 12))).all()


# --- windows


@pytest.mark.parametrize(
    ("centres", "widths", "reason"),
    [
        ("0", "0", "window 1 is skipped: its width is 0, but a LINEAR window is at least 1 wide"),
        ("100", "0.5", "window 1 is skipped: its width is 0.5"),
        ("100", "-400", "window 1 is skipped: its width is -400"),
        ("100", "", "window 1 is skipped: it has no width"),
        ("", "100", "window 1 is skipped: it has no centre"),
        ("wide", "100", "window 1 is skipped: its centre is 'wide'"),
        ("1_0", "100", "window 1 is skipped: its centre is '1_0'"),
        ("nan", "100", "window 1 is skipped: its centre is 'nan'"),
        ("1e999", "100", "window 1 is skipped: its centre is '1e999'"),
    ],
)
def test_impossible_windows_are_skipped(centres: str, widths: str, reason: str) -> None:
    """PS3.3 C.11.2.1.2: then the next, then the values themselves."""
    alone = raw_window(centres, widths)
    assert (with_warning(alone, reason) == shown(frame_of(RAMP12, 12))).all()
    followed = raw_window(f"{centres}\\1024", f"{widths}\\2048")
    expected = shown(raw_window("1024", "2048"))
    assert (with_warning(followed, reason) == expected).all()


def raw_window(centres: str, widths: str, **more: object) -> StoredFrame:
    """Return a ramp with windows that pydicom would not write."""
    return raw_elements(frame_of(RAMP12, 12, **more), (0x1050, centres), (0x1051, widths))


def raw_elements(frame: StoredFrame, *elements: tuple[int, str]) -> StoredFrame:
    """Return a frame with further DS elements of group 0028, right or wrong."""
    header = frame.header
    for element, text in elements:
        raw = text.encode() + b" " * (len(text) % 2)
        header += b"\x28\0" + element.to_bytes(2, "little") + b"DS"
        header += len(raw).to_bytes(2, "little") + raw
    return evolve(frame, attributes=parse_attributes(header, EXPLICIT), header=header)


@pytest.mark.parametrize("second", ["0", "", "-1", "x"])
def test_a_second_window_that_is_none_does_not_matter(second: str) -> None:
    frame = raw_window(f"1024\\{second}", f"2048\\{second}")
    assert (shown(frame) == shown(raw_window("1024", "2048"))).all()
    with pytest.raises(RenderError, match="window '2' cannot be used: "):
        render(frame, RenderOptions("2"))


def test_a_narrow_window_is_one_for_other_functions() -> None:
    """PS3.3 C.11.2.1.3.2: any width above 0."""
    values = np.array([[0, 100, 200]], "<u2")
    more = {"WindowCenter": 100, "WindowWidth": 0.5}
    for function in ("LINEAR_EXACT", "SIGMOID"):
        frame = frame_of(values, VOILUTFunction=function, **more)
        assert shown(frame).tolist() == [[0, 128, 255]]
        none = frame_of(values, VOILUTFunction=function, WindowCenter=100, WindowWidth=0)
        with_warning(none, f"its width is 0, but a {function} window is wider than 0")


def test_an_unknown_function_is_taken_as_linear() -> None:
    more = {"WindowCenter": 1024, "WindowWidth": 2048}
    frame = frame_of(RAMP12, 12, VOILUTFunction="LOGARITHMIC", **more)
    found = with_warning(frame, "VOI LUT Function 'LOGARITHMIC' is unknown: LINEAR is used")
    assert (found == shown(frame_of(RAMP12, 12, **more))).all()


@given(
    st.floats(-3000, 3000),
    st.floats(1, 5000),
    st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
)
def test_functions_are_those_of_the_standard(centre: float, width: float, function: str) -> None:
    """PS3.3 C.11.2.1.2.1, C.11.2.1.3.1 and C.11.2.1.3.2, as they are written there."""
    centre, width = round(centre, 3), round(width, 3)
    frame = frame_of(RAMP12, 12, WindowCenter=centre, WindowWidth=width, VOILUTFunction=function)
    x = RAMP12.astype("f8")
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        if function == "SIGMOID":
            y = 255 / (1 + np.exp(-4 * (x - centre) / width))
        elif function == "LINEAR_EXACT":
            y = (x - centre) / width * 255 + 255 / 2
            y[x <= centre - width / 2], y[x > centre + width / 2] = 0, 255
        else:
            y = ((x - (centre - 0.5)) / (width - 1) + 0.5) * 255
            y[x <= centre - 0.5 - (width - 1) / 2] = 0
            y[x > centre - 0.5 + (width - 1) / 2] = 255
    assert np.abs(shown(frame) - y).max() <= 0.51


def test_a_window_of_one_value_per_frame() -> None:
    """PS3.3 C.7.6.16.2.10: of the frame's own functional group, else the shared one."""
    groups = []
    for centre in (100, 0, 3000):
        window, group = Dataset(), Dataset()
        window.WindowCenter, window.WindowWidth = centre, 10 if centre else 0
        group.FrameVOILUTSequence = [window]
        groups.append(group)
    common, shared = Dataset(), Dataset()
    common.WindowCenter, common.WindowWidth = 2000, 10
    shared.FrameVOILUTSequence = [common]
    more = {"NumberOfFrames": 4, "SharedFunctionalGroupsSequence": [shared]}
    for number, edge in ((1, 100), (3, 3000), (4, 2000)):
        frame = frame_of(RAMP12, 12, number, PerFrameFunctionalGroupsSequence=groups, **more)
        white = np.flatnonzero(shown(frame).ravel() == 255)
        assert abs(white[0] - edge) <= 6
    frame = frame_of(RAMP12, 12, 2, PerFrameFunctionalGroupsSequence=groups, **more)
    with_warning(frame, "window 1 is skipped")


def test_rescaling_per_frame() -> None:
    """PS3.3 C.7.6.16.2.9: slope and intercept of one functional group belong together."""
    groups = []
    for values in ({"RescaleSlope": 2}, {"RescaleSlope": 1, "RescaleIntercept": -1000}):
        transformation, group = Dataset(), Dataset()
        for keyword, value in values.items():
            setattr(transformation, keyword, value)
        group.PixelValueTransformationSequence = [transformation]
        groups.append(group)
    more = {
        "NumberOfFrames": 2,
        "PerFrameFunctionalGroupsSequence": groups,
        "RescaleIntercept": 7777,
        "WindowCenter": 500,
        "WindowWidth": 2,
    }
    for number, edge in ((1, 250), (2, 1500)):
        white = np.flatnonzero(shown(frame_of(RAMP12, 12, number, **more)).ravel() == 255)
        assert abs(white[0] - edge) <= 1


def test_a_rescaling_that_is_none() -> None:
    for slope, reason in (("0", "RescaleSlope is 0"), ("x", "RescaleSlope is 'x'")):
        frame = raw_elements(frame_of(RAMP12, 12), (0x1053, slope))
        assert (with_warning(frame, reason) == shown(frame_of(RAMP12, 12))).all()


def test_single_bits_have_no_sign() -> None:
    frame = frame_of(np.zeros((2, 8), "u1"), 1, PixelRepresentation=1)
    single = evolve(frame.format, bits_allocated=1)
    found = shown(evolve(frame, format=single, data=b"\x0f\xf0"), "none")
    assert found.tolist() == [[255] * 4 + [0] * 4, [0] * 4 + [255] * 4]


def test_a_voi_lut_of_a_functional_group() -> None:
    """PS3.3 C.7.6.16.2.10b, Frame VOI LUT With LUT."""
    macro, group = Dataset(), Dataset()
    macro.VOILUTSequence = [lut(0, np.arange(4096)[::-1] // 16, 8)]
    group.FrameVOILUTSequence = [macro]
    frame = frame_of(RAMP12, 12, PerFrameFunctionalGroupsSequence=[group])
    assert (shown(frame) == (4095 - RAMP12) // 16).all()


# --- without a window


@pytest.mark.parametrize("dtype", ["u1", "<u2", "<i2", "<u4", "<i4"])
def test_a_uniform_image(dtype: str) -> None:
    """0 is black, the highest value white, and one between is between."""
    information = np.iinfo(dtype)
    for value in (information.min, information.max):
        found = shown(frame_of(np.full((4, 4), value, dtype)))
        assert (found == (0 if value == information.min else 255)).all()
    if information.min == 0:
        half = frame_of(np.full((4, 4), information.max // 2, dtype))
        assert np.abs(shown(half) - 127).max() <= 1


def test_a_uniform_image_that_is_inverted() -> None:
    black = np.zeros((4, 4), "u1")
    assert (shown(frame_of(black, PhotometricInterpretation="MONOCHROME1")) == 255).all()


@pytest.mark.parametrize(
    ("name", "shape", "is_inverted"),
    [
        ("MONOCHROME2", None, False),
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME2", "INVERSE", True),
        ("MONOCHROME1", None, True),
        ("MONOCHROME1", "INVERSE", True),
        ("MONOCHROME1", "IDENTITY", False),
        ("MONOCHROME1", "LIN OD", True),
    ],
)
def test_presentation_lut_shape(name: str, shape: str | None, is_inverted: bool) -> None:
    """PS3.3 C.11.6, C.8.11.3.1.2: MONOCHROME1 with INVERSE is inverted once."""
    more = {"PresentationLUTShape": shape} if shape else {}
    found = shown(frame_of(RAMP12, 12, PhotometricInterpretation=name, **more))
    expected = np.rint(RAMP12 / 4095 * 255)
    assert (found == (255 - expected if is_inverted else expected)).all()


@pytest.mark.parametrize(
    ("dtype", "padding", "limit", "padded"),
    [
        ("<u2", 4095, None, [4095]),
        ("<u2", 4000, 4095, [4000, 4050, 4095]),
        ("<u2", 4095, 4000, [4000, 4050, 4095]),
        ("<i2", -2000, None, [-2000]),
        ("<i2", 63536, None, [-2000]),
        ("<i2", -2000, -1900, [-2000, -1950, -1900]),
    ],
)
def test_padding_does_not_widen_the_automatic_window(dtype, padding, limit, padded) -> None:
    """PS3.3 C.7.5.1.1.2: its value, or its range; also where its VR has lost the sign."""

    def words(value: int) -> tuple[str, int]:
        return ("SS", value) if value < 0 else ("US", value)

    image = np.array([100, 200, 300], dtype)
    pixels = np.concatenate([image, np.array(padded, dtype)]).reshape(1, -1)
    more = {"PixelPaddingValue": words(padding)}
    if limit is not None:
        more["PixelPaddingRangeLimit"] = words(limit)
    for window in ("", "auto"):
        assert shown(frame_of(pixels, **more), window)[0, :3].tolist() == [0, 128, 255]
    assert shown(frame_of(pixels))[0, :3].tolist() != [0, 128, 255]


def test_an_image_of_padding_only() -> None:
    frame = frame_of(np.full((2, 2), 0, "<u2"), PixelPaddingValue=("US", 0))
    assert (shown(frame) == 0).all()


# --- palettes


def palette(bits: int, first: int, tables: list[np.ndarray], *, segmented=False) -> dict:
    more: dict[str, object] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour, table in zip(("Red", "Green", "Blue"), tables, strict=True):
        name = f"{colour}PaletteColorLookupTable"
        count = 256 if segmented else len(table)
        more[f"{name}Descriptor"] = ("US", [count, first, bits])
        data = table.astype("u1" if bits == 8 else "<u2").tobytes()
        key = f"Segmented{name}Data" if segmented else f"{name}Data"
        more[key] = ("OW", data + bytes(len(data) % 2))
    return more


@pytest.mark.parametrize("bits", [8, 16])
def test_the_first_value_of_a_palette_is_mapped(bits: int) -> None:
    indices = np.array([[0, 10, 11, 12, 13, 255]], "u1")
    scale = 1 if bits == 8 else 257
    tables = [np.array(each) * scale for each in ([1, 2, 3], [40, 50, 60], [255, 0, 7])]
    found = shown(frame_of(indices, **palette(bits, 11, tables)))
    assert found[0, :, 0].tolist() == [1, 1, 1, 2, 3, 3]
    assert found[0, :, 2].tolist() == [255, 255, 255, 0, 7, 7]


def test_entries_of_8_bits_in_a_palette_of_16() -> None:
    tables = [np.arange(256)] * 3
    frame = frame_of(np.arange(256, dtype="u1").reshape(1, -1), **palette(16, 0, tables))
    found = with_warning(frame, "the palette says 16 bits for entries of 8")
    assert (found[0, :, 0] == np.arange(256)).all()


def offset(position: int, bits: int) -> list[int]:
    """Return a position as the byte offset that an indirect segment has."""
    number = position * bits // 8
    mask, count = (1 << bits) - 1, 32 // bits
    return [number >> (bits * each) & mask for each in range(count)]


@pytest.mark.parametrize("bits", [8, 16])
def test_segmented_palettes_are_expanded(bits: int) -> None:
    """PS3.3 C.7.9.2: discrete, linear and indirect segments."""
    top = (1 << bits) - 1
    segments = [0, 2, 0, top // 4, 1, 62, top, 0, 1, 3, 1, 63, top // 2]
    repeated = [*segments, 2, 4, *offset(0, bits)]
    table = np.array(repeated)
    more = palette(bits, 0, [table, table, table], segmented=True)
    indices = np.arange(256, dtype="u1").reshape(16, 16)
    frame = frame_of(indices, **more)
    dataset = Dataset()
    dataset.PixelRepresentation = 0
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = EXPLICIT
    for keyword, value in more.items():
        if keyword != "PhotometricInterpretation":
            dataset.add_new(keyword, *value)
    dataset.RedPaletteColorLookupTableDescriptor[0] = 256
    reference = apply_color_lut(indices, dataset)
    found = shown(frame)
    assert np.abs(found - np.rint(reference / top * 255)).max() <= 1
    assert len(np.unique(found)) > 60


@given(st.binary(max_size=200), st.integers(1, 65536), st.sampled_from([8, 16]))
def test_no_segments_make_more_than_there_should_be(data: bytes, count: int, bits: int) -> None:
    try:
        entries = expand(data, count, bits)
    except RenderError:
        return
    assert 1 <= len(entries) <= count


@pytest.mark.parametrize(
    "missing", ["RedPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableData"]
)
def test_a_palette_that_is_not_there(missing: str) -> None:
    more = palette(8, 0, [np.arange(4)] * 3)
    del more[missing]
    with pytest.raises(RenderError, match=f"the image has a palette, but no {missing}"):
        render(frame_of(np.zeros((2, 2), "u1"), **more))


# --- overlays


def overlay(points: np.ndarray, group: int = 0x6000, **more: object) -> dict:
    """Return the attributes of an overlay plane; `points` may be several frames."""
    rows, columns = points.shape[-2:]
    data = np.packbits(points.ravel().astype(bool), bitorder="little").tobytes()
    elements = {
        0x0010: ("US", rows),
        0x0011: ("US", columns),
        0x0040: ("CS", "G"),
        0x0050: ("SS", list(more.get("origin", (1, 1)))),
        0x0100: ("US", 1),
        0x0102: ("US", 0),
        0x3000: ("OW", data + bytes(len(data) % 2)),
    }
    if "frames" in more:
        elements[0x0015] = ("IS", str(more["frames"]))
    if "frame_origin" in more:
        elements[0x0051] = ("US", more["frame_origin"])
    return {f"{group:04x}{element:04x}": value for element, value in elements.items()}


def with_overlays(pixels: np.ndarray, *planes: dict, number: int = 1, **more) -> StoredFrame:
    dataset_attributes: dict[str, object] = dict(more)
    for plane in planes:
        dataset_attributes |= {f"0x{tag}": value for tag, value in plane.items()}
    return frame_of(pixels, 0, number, **dataset_attributes)


GREY = np.full((5, 7), 100, "u1")
GREY[0, 0], GREY[4, 6] = 0, 200
CROSS = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]])


@pytest.mark.parametrize("origin", list(product((-1, 0, 1, 3, 4, 9), (-2, 1, 5, 6, 300))))
def test_an_overlay_may_lie_partly_or_wholly_outside(origin) -> None:
    """PS3.3 C.9.2: its origin is row and column, 1 and 1 the first pixel."""
    frame = with_overlays(GREY, overlay(CROSS, origin=origin))
    expected = shown(frame, "none")
    for row, column in zip(*np.nonzero(CROSS), strict=True):
        top, left = row + origin[0] - 1, column + origin[1] - 1
        if 0 <= top < 5 and 0 <= left < 7:
            expected[top, left] = 255
    assert (shown(frame, "none", overlays=True) == expected).all()


def test_overlays_of_several_groups_and_of_colour_images() -> None:
    planes = overlay(CROSS), overlay(CROSS, 0x601E, origin=(3, 5))
    found = shown(with_overlays(GREY, *planes), "none", overlays=True)
    assert found[0, 0] == found[2, 4] == 255
    colours = np.zeros((5, 7, 3), "u1")
    found = shown(with_overlays(colours, *planes), overlays=True)
    assert found[0, 0].tolist() == found[4, 6].tolist() == [255, 255, 255]
    assert found.sum() == 255 * 3 * (5 + 5)


@pytest.mark.parametrize(
    ("more", "by_frame"),
    [
        ({}, {1: 0, 2: 0, 3: 0, 4: 0}),
        ({"frames": 2}, {1: 0, 2: 1, 3: None, 4: None}),
        ({"frames": 2, "frame_origin": 2}, {1: None, 2: 0, 3: 1, 4: None}),
        ({"frame_origin": 3}, {1: None, 2: None, 3: 0, 4: None}),
    ],
)
def test_multi_frame_overlays(more, by_frame) -> None:
    """PS3.3 C.9.3: frames follow without padding, from Image Frame Origin on."""
    planes = np.stack([CROSS, 1 - CROSS])
    for number, plane in by_frame.items():
        frame = with_overlays(GREY, overlay(planes, **more), number=number, NumberOfFrames=4)
        found = shown(frame, "none", overlays=True)[:3, :3] == 255
        expected = np.zeros((3, 3)) if plane is None else planes[plane]
        assert (found == expected).all()


def test_overlays_in_unused_bits_of_pixel_data() -> None:
    """Retired, PS3.5-2004 §8.1.2: bit 12 of 16."""
    points = np.zeros((16, 256), bool)
    points[3, 40:60] = True
    cells = RAMP12 | (points.astype("<u2") << 12)
    tags = {
        "0x60000010": ("US", 16),
        "0x60000011": ("US", 256),
        "0x60000050": ("SS", [1, 1]),
        "0x60000100": ("US", 16),
        "0x60000102": ("US", 12),
    }
    frame = frame_of(cells, 12, **tags)
    plain = shown(frame)
    assert (plain == shown(frame_of(RAMP12, 12))).all()
    found = shown(frame, overlays=True)
    assert (found[points] == 255).all()
    assert (found[~points] == plain[~points]).all()


@pytest.mark.parametrize(
    ("element", "value", "reason"),
    [
        (0x3000, ("OW", b"\1\0"), "its data end before its frame 1 does"),
        (0x0010, ("US", 65535), "its data end before its frame 1 does"),
        (0x3000, ("OW", b""), "it has no data, nor unused bits"),
    ],
)
def test_an_overlay_that_cannot_be_shown_is_left_out(element, value, reason) -> None:
    plane = overlay(np.ones((5, 7)))
    plane[f"6000{element:04x}"] = value
    frame = with_overlays(GREY, plane)
    picture = render(frame, RenderOptions("none", overlays=True))
    assert (picture.pixels == GREY).all()
    (warning,) = picture.warnings
    assert warning.startswith("the overlay of group 6000 is left out: ")
    assert reason in warning


# --- whatever comes

_texts = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)
_numbers = st.sampled_from(
    ["0", "1", "-1", "400", "1e300", "1e99", "-1e99", "nan", "", "\\", "1\\0"]
)
_words = st.binary(max_size=12).filter(lambda data: len(data) % 2 == 0)


@given(
    st.dictionaries(
        st.sampled_from([0x1050, 0x1051, 0x1052, 0x1053, 0x1056, 0x0120, 0x0121]),
        _texts | _numbers,
    ),
    st.lists(st.tuples(_words, _words), max_size=2),
    st.sampled_from(["", "auto", "none", "1", "2"]),
    st.sampled_from(["u1", "<i2", "<u4"]),
)
def test_whatever_attributes_say_there_is_a_picture_or_a_reason(values, tables, window, dtype):
    pixels = np.array([[0, 1, 2, 100]], dtype)
    items = []
    for descriptor, data in tables:
        item = Dataset()
        item.add_new("LUTDescriptor", "OW", descriptor)
        item.add_new("LUTData", "OW", data)
        items.append(item)
    frame = frame_of(pixels, ModalityLUTSequence=items[:1], VOILUTSequence=items[1:])
    tags = sorted(values)
    extra = b"".join(_text_element(tag, values[tag]) for tag in tags)
    header = frame.header + extra
    frame = StoredFrame(frame.data, frame.format, 1, parse_attributes(header, EXPLICIT), header)
    with suppress(RenderError):
        pixels = render(frame, RenderOptions(window)).pixels
        assert (pixels.shape, pixels.dtype) == ((1, 4), np.dtype("u1"))


def _everything() -> tuple[StoredFrame, ...]:
    """Return a grey frame and one with a palette, with all that the renderer looks at."""
    macro, group = Dataset(), Dataset()
    macro.VOILUTSequence, macro.WindowCenter = [lut(0, np.arange(16), 8)], [3, 4]
    macro.WindowWidth, macro.VOILUTFunction = [5, 6], "SIGMOID"
    group.FrameVOILUTSequence = [macro]
    more = {f"0x{tag}": value for tag, value in overlay(CROSS, frames=1).items()}
    grey = frame_of(
        GREY,
        ModalityLUTSequence=[lut(0, np.arange(256), 8)],
        PerFrameFunctionalGroupsSequence=[group],
        PixelPaddingValue=("US", 100),
        PresentationLUTShape="INVERSE",
        **more,
    )
    segments = np.array([0, 2, 0, 9, 1, 60, 200, 2, 1, 0, 0])
    colours = palette(16, 0, [segments] * 3, segmented=True)
    return grey, frame_of(GREY, **colours)


_EVERYTHING = _everything()


@given(
    st.sampled_from(_EVERYTHING),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=6),
    st.sampled_from(["", "auto", "1"]),
)
def test_a_damaged_header_gives_a_picture_or_a_reason(frame, damage, window) -> None:
    header = bytearray(frame.header)
    for place, value in damage:
        header[place % len(header)] = value
    with suppress(MalformedDataset, ImageError, RenderError):
        attributes = parse_attributes(bytes(header), EXPLICIT)
        damaged = StoredFrame(frame.data, frame.format, 1, attributes, bytes(header))
        assert render(damaged, RenderOptions(window, overlays=True)).pixels.dtype == np.dtype("u1")


def _text_element(element: int, text: str) -> bytes:
    raw = text.encode() + b" " * (len(text) % 2)
    head = b"\x28\0" + element.to_bytes(2, "little") + b"LO"
    return head + len(raw).to_bytes(2, "little") + raw


@pytest.mark.parametrize("text", ["1_0", "nan", "inf", "0x10", "١", "1e1000", "", "1 0", "--1"])
def test_what_is_no_number(text: str) -> None:
    assert number_of(text) is None


def test_warnings_are_given_once() -> None:
    attributes = FrameAttributes(frame_of(GREY))
    attributes.warn("odd")
    attributes.warn("odd")
    assert attributes.warnings == ["odd"]
