"""The walk in C by itself: how it is made, and what it refuses."""

import gc
import sys

import pytest

pacs_speedups = pytest.importorskip("pacs_speedups", exc_type=ImportError)
HeaderWalk = pacs_speedups.HeaderWalk
NAME = b"\x10\0\x10\0PN\x08\0Doe^Jane"
EXPLICIT_LITTLE = 3


def walk(walker, buffer, take=None, position=0, attributes=None):
    return walker.walk(
        buffer, position, 0, 0x0004_0000, EXPLICIT_LITTLE, 1 << 20, 1 << 16,
        {} if attributes is None else attributes, take,
    )  # fmt: skip


@pytest.fixture
def walker():
    return HeaderWalk({0x0010_0010: "PN", 0x0010_0020: "LO"}, {0x0008_1140}, 0x0010_0020)


def test_it_goes_on_only_as_far_as_headers_are_whole(walker):
    for size in range(len(NAME)):
        assert walk(walker, NAME[:size]) == (0, 0x0004_0000, False)
    assert walk(walker, NAME + NAME[:7]) == (len(NAME), 0x0010_0010, False)


def test_what_has_passed_the_last_wanted_tag_is_done(walker):
    element = b"\x20\0\x0d\0UI\2\x001\0"
    assert walk(walker, element) == (len(element), 0x0020_000D, True)


def test_a_position_at_or_beyond_the_end_is_where_it_stays(walker):
    assert walk(walker, NAME, position=len(NAME))[0] == len(NAME)
    assert walk(walker, NAME, position=1 << 40)[0] == 1 << 40
    with pytest.raises(ValueError, match="not negative"):
        walk(walker, NAME, position=-1)


def test_what_a_value_raises_is_raised():
    walker = HeaderWalk({0x0010_0010: "SQ"}, (), 0x0010_0010)

    def take(tag, vr, start, length):
        raise RuntimeError(f"{tag:08X} {vr} {start} {length}")

    with pytest.raises(RuntimeError, match="00100010 PN 8 8"):
        walk(walker, NAME, take)


@pytest.mark.parametrize(
    "arguments",
    [
        ({0: "LO"}, (), 1),
        ({1 << 32: "LO"}, (), 1),
        ({-1: "LO"}, (), 1),
        ({1: 2}, (), 1),
        ({"x": "LO"}, (), 1),
        ([], (), 1),
        ({}, 5, 1),
        ({}, [None], 1),
        ({},),
    ],
)
def test_what_is_no_set_of_tags_is_refused(arguments):
    with pytest.raises((TypeError, ValueError, OverflowError)):
        HeaderWalk(*arguments)


@pytest.mark.parametrize(
    "arguments", [(), (NAME,), ("text", 0, 0, 0, 0, 0, 0, {}, None), (b"", *"abcdefgh")]
)
def test_other_arguments_are_refused(walker, arguments):
    with pytest.raises((TypeError, BufferError)):
        walker.walk(*arguments)


def test_nothing_is_kept_alive(walker):
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(2000):
        other = HeaderWalk({0x0010_0010: "PN", 0x0010_0020: "UT"}, {0x0008_1140}, 0x0010_0020)
        walk(other, NAME)
        with pytest.raises(TypeError):
            HeaderWalk({0x0010_0010: 1}, (), 1)
    gc.collect()
    assert sys.getallocatedblocks() - before < 500
