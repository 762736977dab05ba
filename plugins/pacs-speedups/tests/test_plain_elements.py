"""The taker of plain elements in C by itself: how it is made, what it takes, what it refuses."""

import gc
import sys

import pytest

from pacs_core.dataset import DataElement, ElementSet

pacs_speedups = pytest.importorskip("pacs_speedups", exc_type=ImportError)
PlainElements = pacs_speedups.PlainElements
NAME = b"\x10\0\x10\0PN\x08\0Doe^Jane"
ITEM = b"\xfe\xff\0\xe0\x10\0\0\0" + NAME
SEQUENCE = b"\x08\0\x40\x11SQ\0\0\x18\0\0\0" + ITEM
LIMITS = (1 << 16, 1 << 16, 1 << 20, 1000, 100)
DOE = DataElement(0x0010_0010, "PN", b"Doe^Jane")


@pytest.fixture
def taker():
    return PlainElements(DataElement, ElementSet)


def take(taker, data, limits=LIMITS, *, position=0, end=None, known=None, obstacle=0):
    elements = {}
    end = len(data) if end is None else end
    return taker.take(
        data, position, end, elements, ("ISO_IR 100",), known, limits, -1, obstacle
    ), elements


def test_it_takes_elements_and_sequences_that_are_whole(taker):
    found, elements = take(taker, SEQUENCE + NAME)
    assert found == (len(SEQUENCE + NAME), 16, 3, len(SEQUENCE), 0)
    within = ElementSet({0x0010_0010: DOE}, ("ISO_IR 100",))
    assert elements == {
        0x0008_1140: DataElement(0x0008_1140, "SQ", (within,)),
        0x0010_0010: DOE,
    }
    for size in range(len(NAME)):
        assert take(taker, NAME[:size]) == ((0, 0, 0, -1, 0), {})
    for size in range(len(SEQUENCE)):
        found, elements = take(taker, SEQUENCE[:size])
        assert (found[:4], elements) == ((0, 0, 0, -1), {})


def test_limits_end_it(taker):
    for limits in (
        (7, 99, 99, 99, 99), (99, 99, 7, 99, 99), (99, 99, 99, 0, 99), (-1, -1, -1, -1, -1),
    ):  # fmt: skip
        assert take(taker, NAME, limits) == ((0, 0, 0, -1, 0), {})
    assert take(taker, SEQUENCE, (99, 99, 99, 99, 1))[1] == {}
    assert take(taker, SEQUENCE, (99, 99, 99, 99, 2))[1] != {}


def test_sequences_before_an_obstacle_are_left(taker):
    assert take(taker, SEQUENCE, obstacle=1)[0] == (0, 0, 0, -1, 1)
    odd = SEQUENCE[:-16] + b"\x10\0\x10\0??" + SEQUENCE[-10:]
    assert take(taker, odd) == ((0, 0, 0, -1, 20), {})


def test_without_vrs_it_takes_what_is_known(taker):
    bare = b"\x10\0\x10\0\x08\0\0\0Doe^Jane"
    assert take(taker, bare, known={}) == ((0, 0, 0, -1, 0), {})
    assert take(taker, bare, known={0x0010_0010: "PN"})[1] == {0x0010_0010: DOE}
    for wrong in ("P", "PNX", "pn", ""):
        assert take(taker, bare, known={0x0010_0010: wrong})[1] == {}
    with pytest.raises(TypeError):
        take(taker, bare, known={0x0010_0010: 1})


@pytest.mark.parametrize(("position", "end"), [(-1, 16), (0, 17), (0, 1 << 40)])
def test_places_outside_the_buffer_are_refused(taker, position, end):
    with pytest.raises(ValueError, match="not in the buffer"):
        take(taker, NAME, position=position, end=end)


def test_places_where_nothing_is_left_stay(taker):
    assert take(taker, NAME, position=99)[0][0] == 99
    assert take(taker, NAME, end=-5)[0][0] == 0


@pytest.mark.parametrize(
    "arguments", [
                  (), (NAME,), ("text", 0, 0, {}, (), None, LIMITS, -1, 0),
                  (NAME, 0, 0, [], (), None, LIMITS, -1, 0),
                  (NAME, 0, 0, {}, (), [], LIMITS, -1, 0),
                  (NAME, 0, 0, {}, (), None, 5, -1, 0), (NAME, 0, 0, {}, (), None, (1, 2), -1, 0)]
)  # fmt: skip
def test_other_arguments_are_refused(taker, arguments):
    with pytest.raises(TypeError):
        taker.take(*arguments)


@pytest.mark.parametrize("classes", [(), (int, str), (DataElement,), (1, 2)])
def test_it_is_made_of_two_classes(classes):
    with pytest.raises(TypeError):
        PlainElements(*classes)


def test_classes_without_the_slots_are_an_error():
    class Other:
        __slots__ = ()

    with pytest.raises(AttributeError):
        take(PlainElements(Other, Other), NAME)


def test_nothing_is_kept_alive():
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(2000):
        other = PlainElements(DataElement, ElementSet)
        take(other, SEQUENCE + NAME)
        take(other, SEQUENCE[:-3])
        with pytest.raises(TypeError):
            PlainElements(DataElement, 1)
    gc.collect()
    assert sys.getallocatedblocks() - before < 500
