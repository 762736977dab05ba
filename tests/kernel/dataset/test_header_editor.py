"""Edits of a header in memory: what is not edited keeps its bytes (PS3.5 §7)."""

import pytest
from hypothesis import given, strategies as st

from pacs_core.dataset import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    MalformedDataset,
    UnencodableValue,
    edit_header,
    element_header,
    encode_attributes,
    encode_edit,
    parse_attributes,
)

ENCODINGS = (EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
UID, NAME, IMAGES, ROWS, PHOTOMETRIC, LOSSY = (
    0x0008_0018,
    0x0010_0010,
    0x0008_1140,
    0x0028_0010,
    0x0028_0004,
    0x0028_2110,
)
TAGS = (UID, IMAGES, NAME, PHOTOMETRIC, ROWS, LOSSY)
VALUES = {
    UID: ("1.2.3",),
    IMAGES: ({UID: ("1.2",), ROWS: ("7",)}, {}),
    NAME: ("Doe^Jane",),
    PHOTOMETRIC: ("MONOCHROME2",),
    ROWS: ("512",),
    LOSSY: ("01",),
}
OTHERS = {**VALUES, UID: ("1.2.3.4.5",), NAME: (), ROWS: ("1",), IMAGES: ({NAME: ("A",)},)}
tags = st.sets(st.sampled_from(TAGS))


@pytest.mark.parametrize("syntax", ENCODINGS)
@given(present=tags, set_=tags, removed=tags)
def test_an_edited_header_is_the_encoding_of_the_edited_attributes(syntax, present, set_, removed):
    header = encode_attributes({tag: VALUES[tag] for tag in present}, syntax)
    edits = {tag: encode_edit(tag, OTHERS[tag], syntax) for tag in set_} | dict.fromkeys(removed)
    expected = {tag: VALUES[tag] for tag in present} | {tag: OTHERS[tag] for tag in set_}
    expected = {tag: value for tag, value in expected.items() if tag not in removed}
    assert edit_header(header, syntax, edits) == encode_attributes(expected, syntax)


MADE_UP = st.one_of(st.sampled_from(TAGS), st.sampled_from([0x0008_0000, 0x0010_0000, 0x0028_9999]))


@pytest.mark.parametrize("syntax", ENCODINGS)
@given(
    placed=st.lists(st.tuples(MADE_UP, st.binary(max_size=6)), max_size=8),
    edited=st.dictionaries(st.sampled_from(TAGS), st.none() | st.binary(max_size=4), min_size=1),
    is_sorted=st.booleans(),
)
def test_what_was_checked_is_edited_the_same_without_looking_behind_the_last_edit(
    syntax, placed, edited, is_sorted
):
    """Elements out of order, there twice, or only seeming to be there, included."""
    placed = sorted(placed) if is_sorted else placed
    values = [(tag, value + bytes(len(value) % 2)) for tag, value in placed]
    header = b"".join(
        element_header(tag, "LO", len(value), syntax) + value for tag, value in values
    )
    edits = {tag: value if value is None else ("LO", value) for tag, value in edited.items()}
    expected = edit_header(header, syntax, edits)
    assert edit_header(header, syntax, edits, is_checked=True) == expected


def test_a_nested_attribute_is_not_edited():
    syntax = EXPLICIT_VR_LITTLE_ENDIAN
    header = encode_attributes({IMAGES: VALUES[IMAGES]}, syntax)
    edited = edit_header(header, syntax, {UID: None, ROWS: encode_edit(ROWS, ("9",), syntax)})
    assert parse_attributes(edited, syntax) == {IMAGES: VALUES[IMAGES], ROWS: ("9",)}


def test_the_group_lengths_of_edited_groups_go():
    syntax = EXPLICIT_VR_LITTLE_ENDIAN
    lengths = {
        group: element_header(group << 16, "UL", 4, syntax) + b"\x08\0\0\0"
        for group in (0x0010, 0x0028)
    }
    name, rows = (encode_attributes({tag: VALUES[tag]}, syntax) for tag in (NAME, ROWS))
    header = lengths[0x0010] + name + lengths[0x0028] + rows
    assert edit_header(header, syntax, {ROWS: None}) == lengths[0x0010] + name
    assert edit_header(header, syntax, {}) == header


def test_negative_values_are_signed():
    edit = encode_edit(0x0028_0106, ("-2",), EXPLICIT_VR_LITTLE_ENDIAN)
    assert edit == ("SS", b"\xfe\xff")


def test_text_is_in_the_character_set_of_the_header():
    edit = encode_edit(NAME, ("Müller",), EXPLICIT_VR_LITTLE_ENDIAN, ("ISO_IR 192",))
    assert edit == ("PN", "Müller ".encode())


def test_odd_values_are_padded():
    syntax = EXPLICIT_VR_LITTLE_ENDIAN
    assert edit_header(b"", syntax, {0x0009_1001: ("UN", b"a")})[-2:] == b"a\0"


@pytest.mark.parametrize(
    ("vr", "value", "message"),
    [("ZZ", b"", "no VR 'ZZ'"), ("PN", bytes(65536), "PN cannot have 65536 bytes")],
)
def test_what_cannot_be_written_is_refused(vr, value, message):
    with pytest.raises(UnencodableValue, match=message):
        edit_header(b"", EXPLICIT_VR_LITTLE_ENDIAN, {NAME: (vr, value)})


def test_a_truncated_header_is_refused():
    header = encode_attributes({NAME: ("Doe",)}, EXPLICIT_VR_LITTLE_ENDIAN)
    with pytest.raises(MalformedDataset, match="truncated"):
        edit_header(header[:-1], EXPLICIT_VR_LITTLE_ENDIAN, {})
