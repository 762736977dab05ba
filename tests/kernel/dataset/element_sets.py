"""Element sets for tests: made by hypothesis, and read from what pydicom writes."""

from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    DataElement,
    ElementSet,
    ReadLimits,
    encode_elements,
    read_elements,
)
from pacs_core.dataset.model_values import text_element
from pacs_core.dataset.vr_resolution import resolve_vr

ALL = ReadLimits(bulk=1 << 24, value=1 << 24)


def encoded(dataset: Dataset, explicit: bool = True, little_endian: bool = True) -> bytes:
    file = DicomBytesIO()
    file.is_implicit_VR = not explicit
    file.is_little_endian = little_endian
    write_dataset(file, dataset)
    return file.getvalue()


def element_set(dataset: Dataset, limits: ReadLimits = ALL) -> ElementSet:
    return read_elements(encoded(dataset), EXPLICIT_VR_LITTLE_ENDIAN, limits)


def content(elements: ElementSet) -> bytes:
    """Return elements in a form that can be compared: as a dataset."""
    return b"".join(map(bytes, encode_elements(elements, EXPLICIT_VR_LITTLE_ENDIAN)))


# Characters that all of JSON, XML and DICOM can say; no padding that would be stripped.
_CHARACTER = st.characters(
    codec="utf-8", exclude_characters="\\^=\x1b\ufffe\uffff", exclude_categories=("Cc", "Cs")
)
_TEXT = st.text(_CHARACTER, min_size=1, max_size=20).map(str.strip).filter(bool)
_WORD = st.text("ABCXYZ019_", min_size=1, max_size=12)
_NAME = st.builds("^".join, st.lists(_TEXT, min_size=1, max_size=5))
_VALUES = {
    "CS": _WORD,
    "LO": _TEXT,
    "SH": _TEXT,
    "PN": st.builds("=".join, st.lists(_NAME, min_size=1, max_size=3)),
    "UI": st.text("0123456789.", min_size=1, max_size=20),
    "DA": st.text("0123456789", min_size=8, max_size=8),
    "DS": st.one_of(st.integers(-9999, 9999).map(str), st.sampled_from(["1.50", "-0.125", "abc"])),
    "IS": st.one_of(st.integers(-9999, 9999).map(str), st.just("1A")),
    "AT": st.integers(0, 0xFFFFFFFF).map("{:08X}".format),
    "US": st.integers(0, 0xFFFF).map(str),
    "SS": st.integers(-0x8000, 0x7FFF).map(str),
    "SL": st.integers(-(2**31), 2**31 - 1).map(str),
    "UV": st.integers(0, 2**64 - 1).map(str),
    "FD": st.floats(allow_nan=False, allow_infinity=False).map(str),
    "FL": st.floats(width=32, allow_nan=False, allow_infinity=False).map(str),
    "UT": _TEXT,
}
# What PS3.6 has as a sequence is read as one where no VR is sent, whatever it was written as.
_TAGS = st.integers(0x0008_0100, 0x7FDF_FFFF).filter(
    lambda t: not t >> 16 & 1 and t & 0xFFFF and resolve_vr(t) != "SQ"
)


@st.composite
def element_sets(draw: st.DrawFn, depth: int = 2) -> ElementSet:
    elements = {}
    for tag in draw(st.sets(_TAGS, max_size=6)):
        vr = draw(st.sampled_from([*_VALUES, "OB", *(["SQ"] if depth else [])]))
        if vr == "SQ":
            items = draw(st.lists(element_sets(depth - 1), max_size=2))
            elements[tag] = DataElement(tag, "SQ", tuple(items))
        elif vr == "OB":
            value = draw(st.binary(max_size=20))
            elements[tag] = DataElement(tag, vr, value + b"\0" * (len(value) % 2))
        else:
            most = 1 if vr == "UT" else 3
            elements[tag] = text_element(tag, vr, tuple(draw(st.lists(_VALUES[vr], max_size=most))))
    return ElementSet(elements, ("ISO_IR 192",))
