"""Encapsulated Pixel Data within sequences: found wherever they are, and replaced."""

import struct

import pytest

from pacs_core.dataset import MalformedDataset
from pacs_core.transcoding.nested import (
    MAX_DEPTH,
    may_hold_nested_pixels,
    replace_nested_pixels,
)

UNDEFINED = 0xFFFFFFFF
ICONS, PRIVATE = 0x00880200, 0x00991001


def tagged(tag, length):
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, length)


def long(tag, vr, value, length=None):
    size = len(value) if length is None else length
    return struct.pack("<HH2s2xI", tag >> 16, tag & 0xFFFF, vr, size) + value


def sequence(tag, *items, defined=False):
    if defined:
        return long(tag, b"SQ", b"".join(tagged(0xFFFEE000, len(i)) + i for i in items))
    each = [tagged(0xFFFEE000, UNDEFINED) + i + tagged(0xFFFEE00D, 0) for i in items]
    return long(tag, b"SQ", b"".join(each) + tagged(0xFFFEE0DD, 0), UNDEFINED)


ROWS = struct.pack("<HH2sHH", 0x28, 0x10, b"US", 2, 8)
FRAGMENTS = tagged(0xFFFEE000, 0) + tagged(0xFFFEE000, 4) + b"\xff\xd8\xff\xd9"
PIXELS = long(0x7FE00010, b"OB", FRAGMENTS + tagged(0xFFFEE0DD, 0), UNDEFINED)
ITEM = ROWS + PIXELS
NATIVE = ROWS + long(0x7FE00010, b"OB", b"abcd")


def replaced(header, *, new=NATIVE):
    seen = []

    def replace(item, tag):
        seen.append((item, tag))
        return new

    return replace_nested_pixels(header, replace), seen


@pytest.mark.parametrize("defined", [True, False])
@pytest.mark.parametrize("depth", [0, 1, 7])
def test_an_icon_is_replaced_wherever_it_is(defined, depth):
    def wrapped(inner, defined):
        inner = sequence(ICONS, inner, defined=defined)
        for _ in range(depth):
            inner = sequence(PRIVATE, ROWS + inner, defined=defined)
        return ROWS + inner + ROWS

    header = wrapped(ITEM, defined)
    assert may_hold_nested_pixels(header)
    result, seen = replaced(header)
    assert seen == [(ITEM, ICONS)]
    assert result == wrapped(NATIVE, defined=False)


def test_a_sequence_is_left_out_where_there_is_nothing_to_replace_it():
    around = sequence(PRIVATE, ROWS + sequence(ICONS, ITEM, ROWS) + ROWS)
    result, _ = replaced(ROWS + around + sequence(ICONS, ITEM), new=None)
    assert result == ROWS + sequence(PRIVATE, ROWS + ROWS)


def test_what_has_no_such_pixels_keeps_every_byte():
    unknown = tagged(0x00100010, 4) + b"OB\0\0"
    header = (
        ROWS
        + sequence(PRIVATE, ROWS, NATIVE, defined=True)
        + long(PRIVATE, b"UN", tagged(0xFFFEE000, 12) + unknown + tagged(0xFFFEE0DD, 0), UNDEFINED)
        + long(0x00420011, b"OB", PIXELS)
        + sequence(ICONS)
    )
    assert may_hold_nested_pixels(header)
    assert replaced(header) == (header, [])
    assert not may_hold_nested_pixels(ROWS + sequence(ICONS, NATIVE))


def test_several_icons():
    header = sequence(ICONS, ITEM, ROWS, ITEM, defined=True) + sequence(PRIVATE, ITEM)
    result, seen = replaced(header)
    assert [tag for _, tag in seen] == [ICONS, ICONS, PRIVATE]
    assert result == sequence(ICONS, NATIVE, ROWS, NATIVE) + sequence(PRIVATE, NATIVE)


@pytest.mark.parametrize("defined", [True, False])
def test_a_depth_that_nobody_needs_is_refused(defined):
    header = sequence(ICONS, ITEM)
    for _ in range(MAX_DEPTH):
        header = sequence(PRIVATE, header, defined=defined)
    with pytest.raises(MalformedDataset, match="nest deeper than"):
        replaced(header)


@pytest.mark.parametrize(
    "odd",
    [
        struct.pack("<HH2sH", 0x28, 0x09, b"??", 2) + b"ab",
        struct.pack("<HH2sH", 0x28, 0x09, b"UK", 2) + b"ab",
        long(0x00280009, b"ZZ", b"ab"),
        tagged(0x00280009, 2) + b"ab",
        bytes(16),
    ],
)
@pytest.mark.parametrize("defined", [True, False])
def test_odd_elements_beside_an_icon_are_passed_over(odd, defined):
    """VRs that PS3.5 does not have are read as everywhere else."""
    result, seen = replaced(sequence(ICONS, odd + ITEM, defined=defined) + ROWS)
    assert seen == [(odd + ITEM, ICONS)]
    assert result == sequence(ICONS, NATIVE) + ROWS
