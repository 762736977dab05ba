"""Odd datasets: what is put up with, and that what passes the scan can be converted (PS3.5 §7)."""

import io
import struct
import warnings
import zlib
from itertools import chain

import pydicom
import pytest
from hypothesis import example, given, settings, strategies as st

from pacs_core.dataset import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    HeaderScanner,
    MalformedDataset,
    read_elements,
)

pytestmark = pytest.mark.usefixtures("either_scan")

IMPLICIT, LITTLE, BIG = (
    IMPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
)
UNDEFINED = 0xFFFF_FFFF
SEQUENCE, PRIVATE = 0x0008_1140, 0x0009_1001
WIDE = {b"OB", b"OW", b"SQ", b"UN", b"UT", b"ZZ"}


def bare(tag, length):
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, length)


def narrow(tag, vr, value):
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def wide(tag, vr, value, length=None):
    size = len(value) if length is None else length
    return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr, 0, size) + value


def explicit(tag, vr, value):
    return (wide if vr in WIDE else narrow)(tag, vr, value)


def implicit(tag, value, length=None):
    return bare(tag, len(value) if length is None else length) + value


def item(value, length=None):
    return bare(0xFFFE_E000, len(value) if length is None else length) + value


ITEM_END, SEQUENCE_END = bare(0xFFFE_E00D, 0), bare(0xFFFE_E0DD, 0)
CLASS = explicit(0x0008_0016, b"UI", b"1.2\0")
NAME = explicit(0x0010_0010, b"PN", b"Doe^Jane")
ID = explicit(0x0010_0020, b"LO", b"4711")
UID = explicit(0x0008_1155, b"UI", b"1.23")
IMPLICIT_UID = implicit(0x0008_1155, b"1.23")
IMPLICIT_ID = implicit(0x0010_0020, b"4711")


def look_at(data, syntax, size=None):
    """Scan all of a dataset; return what was put up with, and why it cannot be converted."""
    scanner = HeaderScanner(syntax, frozenset({0x0010_0020}), thorough=True)
    size = size or max(len(data), 1)
    for start in range(0, len(data), size):
        scanner.feed(data[start : start + size])
    scanner.finish()
    return list(scanner.oddities.notes), scanner.oddities.obstacle, scanner.attributes


def found_in(data, syntax, size=None):
    try:
        return look_at(data, syntax, size)
    except MalformedDataset as error:
        return str(error)


def sequence(*items):
    return wide(SEQUENCE, b"SQ", b"".join(items))


META = explicit(0x0002_0010, b"UI", b"1.2.840.10008.1.2\0")
COMMAND = implicit(0x0000_0002, b"1.2\0")
TEXT = explicit(0x0012_0064, b"LO", b"Header Anonymizer ")
SITE = explicit(0x0012_0064, b"LO", b"")

# Explicit VR little endian: the dataset, what is said of it, and it in implicit VR.
EXPLICIT_CASES = {
    "64 zeros at the end": (CLASS + ID + bytes(64), "zeros", None),
    "5 zeros at the end": (CLASS + ID + bytes(5), "zeros", None),
    "zeros between elements": (CLASS + bytes(16) + ID, "zeros", None),
    "group 0002": (META + CLASS + ID, "(0002,0010) cannot be in", None),
    "group 0000": (CLASS + COMMAND + ID, "(0000,0002) cannot be in", None),
    "group 0002 in an item": (
        CLASS + sequence(item(META + UID)) + ID,
        "(0002,0010) cannot be in",
        implicit(SEQUENCE, item(IMPLICIT_UID + ITEM_END, UNDEFINED) + SEQUENCE_END, UNDEFINED),
    ),
    "group 0000 in an item": (
        CLASS + sequence(item(COMMAND + UID)) + ID,
        "(0000,0002) cannot be in",
        implicit(SEQUENCE, item(IMPLICIT_UID + ITEM_END, UNDEFINED) + SEQUENCE_END, UNDEFINED),
    ),
    "a VR of the future": (
        CLASS + wide(PRIVATE, b"ZZ", b"abcd") + ID,
        "(0009,1001) has the unknown VR 'ZZ'",
        implicit(PRIVATE, b"abcd"),
    ),
    "capital letters with a length of 16 bits": (
        CLASS + narrow(PRIVATE, b"UK", b"abcd") + ID,
        "the unknown VR 'UK'",
        implicit(PRIVATE, b"abcd"),
    ),
    "question marks": (
        CLASS + narrow(PRIVATE, b"??", b"abcd") + ID,
        "the unknown VR '??'",
        implicit(PRIVATE, b"abcd"),
    ),
    "empty question marks": (
        CLASS + narrow(PRIVATE, b"??", b"") + ID,
        "the unknown VR '??'",
        implicit(PRIVATE, b""),
    ),
    "question marks with a length of 32 bits": (
        CLASS + wide(PRIVATE, b"??", b"abcd") + ID,
        "the unknown VR '??'",
        implicit(PRIVATE, b"abcd"),
    ),
    "spaces": (
        CLASS + narrow(PRIVATE, b"  ", b"abcd") + ID,
        "the unknown VR '  '",
        implicit(PRIVATE, b"abcd"),
    ),
    "hyphens": (
        CLASS + narrow(PRIVATE, b"--", b"abcd") + ID,
        "the unknown VR '--'",
        implicit(PRIVATE, b"abcd"),
    ),
    "no VR": (
        CLASS + implicit(PRIVATE, b"abcd") + ID,
        "(0009,1001) has no VR",
        implicit(PRIVATE, b"abcd"),
    ),
    "a VR of two zeros": (
        CLASS + narrow(PRIVATE, b"\0\0", b"abcd") + ID,
        "(0009,1001) has no VR",
        implicit(PRIVATE, b"abcd"),
    ),
    "an unknown VR in an item": (
        CLASS + sequence(item(narrow(PRIVATE, b"??", b"ab"))) + ID,
        "the unknown VR '??'",
        implicit(
            SEQUENCE,
            item(implicit(PRIVATE, b"ab") + ITEM_END, UNDEFINED) + SEQUENCE_END,
            UNDEFINED,
        ),
    ),
    "text where a sequence is due": (CLASS + ID + TEXT, "(0012,0064) is not sent as", b""),
    "no text where a sequence is due": (CLASS + ID + SITE, "", implicit(0x0012_0064, b"")),
    "a sequence without items": (
        CLASS + wide(SEQUENCE, b"SQ", b"no items") + ID,
        "(0008,1140) is a sequence, but holds no items",
        b"",
    ),
    "an item longer than its sequence": (
        CLASS + sequence(item(UID, 100)) + ID,
        "an item claims 100 bytes",
        implicit(SEQUENCE, item(IMPLICIT_UID + ITEM_END, UNDEFINED) + SEQUENCE_END, UNDEFINED),
    ),
    "delimiters after defined lengths": (
        CLASS + sequence(item(UID + ITEM_END)) + SEQUENCE_END + ID,
        "(FFFE,E0DD) delimits nothing",
        implicit(SEQUENCE, item(IMPLICIT_UID + ITEM_END, UNDEFINED) + SEQUENCE_END, UNDEFINED),
    ),
    "delimiters after an item's defined length": (
        CLASS + sequence(item(UID) + ITEM_END, SEQUENCE_END) + ID,
        "",
        implicit(SEQUENCE, item(IMPLICIT_UID + ITEM_END, UNDEFINED) + SEQUENCE_END, UNDEFINED),
    ),
    "delimiters with a length": (
        CLASS
        + wide(
            SEQUENCE, b"SQ",
            item(UID + bare(0xFFFE_E00D, 4), UNDEFINED) + bare(0xFFFE_E0DD, UNDEFINED), UNDEFINED,
        )
        + ID,
        "",
        implicit(SEQUENCE, item(IMPLICIT_UID + ITEM_END, UNDEFINED) + SEQUENCE_END, UNDEFINED),
    ),
    "an item that is not delimited": (
        CLASS + wide(SEQUENCE, b"SQ", item(UID, UNDEFINED) + SEQUENCE_END, UNDEFINED) + ID,
        "",
        implicit(SEQUENCE, item(IMPLICIT_UID + ITEM_END, UNDEFINED) + SEQUENCE_END, UNDEFINED),
    ),
    "padding in an item": (
        CLASS + sequence(item(UID + bytes(12))) + ID,
        "",
        implicit(SEQUENCE, item(IMPLICIT_UID + ITEM_END, UNDEFINED) + SEQUENCE_END, UNDEFINED),
    ),
    "a group length that is wrong": (
        explicit(0x0008_0000, b"UL", b"\xff\0\0\0") + CLASS + ID, "", None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("size", [1, 5, None])
@pytest.mark.parametrize("name", EXPLICIT_CASES)
def test_what_is_odd_is_put_up_with_said_and_converted(recode, name, size):
    data, said, between = EXPLICIT_CASES[name]
    notes, obstacle, attributes = look_at(data, LITTLE, size)
    assert obstacle == ""
    assert attributes == {0x0010_0020: ("4711",)}
    assert any(said in note for note in notes) if said else notes == []
    converted = recode(data, LITTLE, IMPLICIT, size)
    clean = implicit(0x0008_0016, b"1.2\0") + IMPLICIT_ID
    assert len(converted) == len(clean) + len(between or b"")
    assert (between or b"") in converted
    # Strict in what is written: nothing is odd any more, and pydicom reads it without a warning.
    assert look_at(converted, IMPLICIT)[:2] == ([], "")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = pydicom.dcmread(io.BytesIO(converted), force=True)
        assert str(read[0x0010_0020].value) == "4711"


@pytest.mark.parametrize("name", EXPLICIT_CASES)
def test_what_is_odd_is_read_with_all_its_elements(name):
    assert read_elements(EXPLICIT_CASES[name][0], LITTLE).texts(0x0010_0020) == ("4711",)


IMPLICIT_CASES = {
    "text where a sequence is due": implicit(0x0012_0064, b"Header Anonymizer "),
    "explicit meta": META,
    "implicit command": COMMAND,
    "zeros": bytes(64),
    "two zeros": bytes(2),
    "an item longer than its sequence": implicit(SEQUENCE, item(IMPLICIT_UID, 100)),
    "odd length": implicit(PRIVATE, b"abc"),
    "private sequence": implicit(PRIVATE, item(IMPLICIT_UID) + SEQUENCE_END, UNDEFINED),
    "64 KiB in a short VR": implicit(0x0010_4000, b"x" * 70_000),
    "delimiter": implicit(SEQUENCE, item(IMPLICIT_UID)) + SEQUENCE_END,
}


@pytest.mark.parametrize("target", [LITTLE, BIG])
@pytest.mark.parametrize("name", IMPLICIT_CASES)
def test_what_is_odd_in_implicit_vr_is_strict_afterwards(recode, name, target):
    data = implicit(0x0008_0016, b"1.2\0") + IMPLICIT_ID + IMPLICIT_CASES[name]
    assert look_at(data, IMPLICIT)[1] == ""
    assert read_elements(data, IMPLICIT).texts(0x0010_0020) == ("4711",)
    converted = recode(data, IMPLICIT, target)
    notes, obstacle, attributes = look_at(converted, target)
    assert attributes == {0x0010_0020: ("4711",)}
    assert obstacle == ""
    assert notes == [] or name == "text where a sequence is due"
    back = recode(converted, target, IMPLICIT)
    assert look_at(back, IMPLICIT)[:2] == ([], "")


@pytest.mark.parametrize("defined", [True, False])
def test_two_hundred_sequences_deep(recode, defined):
    data = UID
    for _ in range(200):
        if defined:
            data = sequence(item(data))
        else:
            inner = item(data + ITEM_END, UNDEFINED) + SEQUENCE_END
            data = wide(SEQUENCE, b"SQ", inner, UNDEFINED)
    assert look_at(CLASS + data + ID, LITTLE)[:2] == ([], "")
    converted = recode(CLASS + data + ID, LITTLE, IMPLICIT)
    assert converted.count(IMPLICIT_UID) == 1
    assert converted.count(SEQUENCE_END) == 200


UNDELIVERABLE = {
    "an element longer than its item": sequence(item(wide(PRIVATE, b"OB", b"ab", 4000))),
    "no item where one is due": sequence(item(UID), UID),
    "half a header": sequence(item(UID + b"\x10\0\x10\0L")),
}


@pytest.mark.parametrize("name", UNDELIVERABLE)
@pytest.mark.parametrize("size", [1, 7, None])
def test_what_cannot_be_converted_is_known_before(recode, name, size):
    """The dataset is whole, as the length of its sequence says where to go on."""
    data = CLASS + UNDELIVERABLE[name] + ID
    _, obstacle, attributes = look_at(data, LITTLE, size)
    assert attributes == {0x0010_0020: ("4711",)}
    assert "at byte" in obstacle
    with pytest.raises(MalformedDataset):
        recode(data, LITTLE, IMPLICIT, size)
    assert recode(data, LITTLE, LITTLE, size) == data


def test_a_second_pixel_data_element_is_an_obstacle():
    pixels = wide(0x7FE0_0010, b"OW", b"abcd")
    assert "second Pixel Data" in look_at(CLASS + ID + pixels + pixels, LITTLE)[1]


def test_only_the_first_oddities_are_remembered():
    data = b"".join(narrow(PRIVATE + n, b"??", b"") for n in range(1000)) + ID
    assert 1 < len(look_at(data, LITTLE)[0]) < 20


leaves = st.sampled_from(
    [
        CLASS, NAME, ID, UID, META, COMMAND, TEXT, IMPLICIT_UID, IMPLICIT_ID, bytes(8), bytes(3),
        narrow(PRIVATE, b"??", b"ab"), wide(PRIVATE, b"ZZ", b"ab"), narrow(PRIVATE, b"  ", b""),
        wide(PRIVATE, b"UN", b"abc"), ITEM_END, SEQUENCE_END, wide(SEQUENCE, b"SQ", b"text"),
        wide(SEQUENCE, b"UN", item(IMPLICIT_UID)), wide(0x7FE0_0010, b"OW", b"ab"),
        wide(PRIVATE, b"UN", item(IMPLICIT_UID) + SEQUENCE_END, UNDEFINED),
        implicit(PRIVATE, item(IMPLICIT_UID) + SEQUENCE_END, UNDEFINED),
    ]
)  # fmt: skip


def nest(inner):
    """Sequences of both encodings, with lengths that may be wrong and delimiters that may miss."""
    items = st.builds(
        lambda parts, defined, error, end: item(
            b"".join(parts) + (b"" if defined or not end else ITEM_END),
            sum(map(len, parts)) + error if defined else UNDEFINED,
        ),
        st.lists(inner, max_size=3), st.booleans(), st.sampled_from([0, 0, 0, 2, 100]),
        st.booleans() | st.just(True),
    )  # fmt: skip
    return st.builds(
        lambda parts, defined, plain, end: _nested(b"".join(parts), defined, plain, end),
        st.lists(items, max_size=3), st.booleans(), st.booleans(), st.booleans() | st.just(True),
    )  # fmt: skip


def _nested(value, defined, plain, end):
    length = None if defined else UNDEFINED
    value += b"" if defined or not end else SEQUENCE_END
    return implicit(SEQUENCE, value, length) if plain else wide(SEQUENCE, b"SQ", value, length)


datasets = st.lists(st.recursive(leaves, nest, max_leaves=12), max_size=6).map(b"".join)


EMPTY_THEN_DELIMITED = wide(
    SEQUENCE, b"SQ", item(item(wide(SEQUENCE, b"SQ", b"") + SEQUENCE_END, UNDEFINED), UNDEFINED),
    UNDEFINED,
)  # fmt: skip


@settings(max_examples=400)
@example(EMPTY_THEN_DELIMITED, LITTLE, 1)
@given(datasets, st.sampled_from([LITTLE, IMPLICIT]), st.integers(1, 30))
def test_what_passes_the_scan_can_be_converted(recode, data, source, size):
    found = found_in(data, source)
    assert found_in(data, source, size) == found
    if isinstance(found, str) or found[1]:
        return
    for target in (IMPLICIT, LITTLE, BIG):
        assert recode(data, source, target, size) == recode(data, source, target)


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from(list(chain.from_iterable(zip(*EXPLICIT_CASES.values(), strict=True)))))
    .map(lambda parts: b"".join(part for part in parts if isinstance(part, bytes))),
    st.integers(0, 400),
    st.integers(0, 255),
)  # fmt: skip
def test_damage_is_noticed_in_the_scan_or_does_not_matter(recode, data, position, byte):
    data = data[:position] + bytes([byte]) + data[position + 1 :]
    found = found_in(data, LITTLE)
    if not (isinstance(found, str) or found[1]):
        recode(data, LITTLE, IMPLICIT)


JPEG, DEFLATED = "1.2.840.10008.1.2.4.50", DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN


@pytest.mark.parametrize("syntax", [JPEG, LITTLE])
@pytest.mark.parametrize("pixels", [b"", wide(0x7FE0_0010, b"OW", b"ab")])
def test_a_header_too_long_to_be_converted_is_an_obstacle(monkeypatch, syntax, pixels):
    """Where frames have to be decoded; elsewhere all streams."""
    monkeypatch.setattr("pacs_core.dataset.scanner.MAX_BEFORE_PIXELS", 1 << 20)
    for length, obstacles in ((1 << 19, 0), (1 << 21, syntax == JPEG)):
        data = CLASS + wide(PRIVATE, b"OB", bytes(length)) + ID + pixels
        assert ("1 MiB" in look_at(data, syntax, 4096)[1]) == bool(obstacles)


def deflate(data):
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def test_what_inflates_beyond_reason_is_malformed(monkeypatch):
    """PS3.5 A.5 has no bound; a dataset of zeros deflates a thousandfold."""
    data = CLASS + ID + wide(0x7FE0_0010, b"OW", bytes(1 << 21))
    assert look_at(deflate(data), DEFLATED)[:2] == ([], "")
    monkeypatch.setattr("pacs_core.dataset.inflate.FREE_LENGTH", 1 << 20)
    with pytest.raises(MalformedDataset, match="inflates to over 250 times"):
        look_at(deflate(data), DEFLATED)


def test_a_fault_after_the_header_of_a_deflated_dataset_is_found():
    data = CLASS + ID + sequence(item(UID)) + wide(0x7FE0_0010, b"OW", bytes(5000))
    assert look_at(deflate(data), DEFLATED, 7)[:2] == ([], "")
    with pytest.raises(MalformedDataset, match="truncated"):
        look_at(deflate(data[:-1000]), DEFLATED)
    with pytest.raises(MalformedDataset, match="truncated"):
        look_at(deflate(data)[:-4], DEFLATED)
