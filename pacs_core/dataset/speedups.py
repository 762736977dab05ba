"""Speedups: parts that another distribution has in C, taken where it is installed.

What is in Python here is the reference, and what is used without. A distribution offers a part by
an entry point in the group `GROUP`; the kernel imports none by name.
"""

import os
from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from attrs import frozen

from pacs_core.dataset.layout import Buffer
from pacs_core.dataset.model import MutableAttributes
from pacs_core.entry_points import EntryPoint, find_entry_points

if TYPE_CHECKING:
    from pacs_core.dataset.data_elements import DataElement

GROUP: Final = "pacs_core.speedups"
HEADER_WALK: Final = "header-walk"
PLAIN_ELEMENTS: Final = "plain-elements"
_PARTS: Final = {HEADER_WALK: "header scan", PLAIN_ELEMENTS: "reading of elements"}
"""What people call a part."""

OFF: Final = "PACS_NO_SPEEDUPS"
"""Environment variable: nothing of the group is used if it is set, to anything but 0."""

EXPLICIT, LITTLE_ENDIAN, THOROUGH, DONE = 1, 2, 4, 8
"""Flags of `HeaderWalk.walk`."""


class HeaderWalk(Protocol):
    """The walk over what is usual in a header, for one set of wanted tags.

    It is made by a call with what is wanted, a dict of tags to what `ScanTargets.kind` says of
    them; with the tags of sequences; and with the last tag that is wanted. `HeaderScanner` says
    what is usual: the walk stops before anything else, and has changed nothing for it.
    """

    def walk(
        self,
        buffer: Buffer,
        position: int,
        base: int,
        last_tag: int,
        flags: int,
        limit: int,
        max_value: int,
        attributes: MutableAttributes,
        take: Callable[[int, str, int, int], None],
        /,
    ) -> tuple[int, int, bool]:
        """Walk from `position`; return where to go on, after which tag, and whether all is found.

        Parameters
        ----------
        buffer : bytes-like
        position : int
        base : int
            Offset of the buffer in the dataset.
        last_tag : int
            Of the element before: the next ones must ascend.
        flags : int
            A sum of `EXPLICIT`, `LITTLE_ENDIAN`, `THOROUGH`, and `DONE` if nothing is wanted any
            more.
        limit : int
            Offset in the dataset behind which no attribute is looked for.
        max_value : int
            Bytes that a wanted value may have.
        attributes : dict
            Gets the values.
        take : callable
            ``(tag, vr, start, length)``: reads a value that the walk does not.
        """
        ...


class PlainElements(Protocol):
    """The elements that `ElementReader` need not look at one by one.

    It is made by a call with two classes: `DataElement` and `ElementSet`. The reader says what is
    plain: what is not ends the run before it, and has changed nothing.
    """

    def take(
        self,
        buffer: Buffer,
        position: int,
        end: int,
        elements: "dict[int, DataElement]",
        character_sets: tuple[str, ...],
        known: dict[int, str] | None,
        limits: tuple[int, int, int, int, int],
        sequence_end: int,
        obstacle: int,
        /,
    ) -> tuple[int, int, int, int, int]:
        """Take elements from `position` on, as long as they are plain and whole before `end`.

        Parameters
        ----------
        buffer : bytes-like
            In little endian.
        position, end : int
        elements : dict
            Gets the elements.
        character_sets : tuple of str
            Those of the items of sequences.
        known : dict or None
            VRs by tag, where elements have none; None where they have.
        limits : tuple of int
            Bytes of a value, of one of bulk data, of all values; elements; and how many sequences
            and items may be open at a time.
        sequence_end : int
            Where a sequence has ended by its length.
        obstacle : int
            Sequences that begin before it are left to the reader.

        Returns
        -------
        tuple of int
            Where to go on, bytes of values that were taken, elements that were passed, and
            `sequence_end` and `obstacle` as they are now.
        """
        ...


HeaderWalkMaker = Callable[[dict[int, str], Iterable[int], int], HeaderWalk]
PlainElementsMaker = Callable[[type, type], PlainElements]
M = TypeVar("M")


@frozen
class Speedup(Generic[M]):
    """A part that may be in C.

    Attributes
    ----------
    name : str
        Of the entry point.
    maker : callable or None
        What makes it; None if the one in Python is used.
    detail : str
        The distribution that it comes from, or why there is none, as a clause.
    fault : bool
        Something is wrong with a distribution that offers it.
    """

    name: str
    maker: M | None
    detail: str
    fault: bool = False

    def __str__(self) -> str:
        return f"{_PARTS[self.name]} in {'C' if self.maker else 'Python'}: {self.detail}"


@cache
def header_walk() -> Speedup[HeaderWalkMaker]:
    """Return what is used to walk over headers: the same in all of the life of a process."""
    return _find(HEADER_WALK, _try_header_walk)


@cache
def plain_elements() -> Speedup[PlainElementsMaker]:
    """Return what is used to read plain elements: the same in all of the life of a process."""
    return _find(PLAIN_ELEMENTS, _try_plain_elements)


def all_speedups() -> tuple[Speedup[Any], ...]:
    """Return what is used for each part."""
    return header_walk(), plain_elements()


def _find(name: str, attempt: Callable[[Any], None]) -> Speedup[Any]:
    if os.environ.get(OFF, "0") not in {"", "0"}:
        return Speedup(name, None, f"{OFF} is set")
    points = (each for each in find_entry_points(GROUP) if each.name == name)
    return choose(name, points, attempt)


def choose(name: str, points: Iterable[EntryPoint], attempt: Callable[[Any], None]) -> Speedup[Any]:
    """Return the first of those offered that can be used; an attempt raises if one cannot."""
    found: Speedup[Any] = Speedup(name, None, "pacs-speedups is not installed")
    for point in points:
        distribution = point.distribution
        try:
            maker: Any = point.load()
            # Whatever is wrong with it shows here, and not when the first instance arrives.
            attempt(maker)
        except ModuleNotFoundError:
            found = Speedup(name, None, f"{distribution} was built without a compiler")
        except Exception as error:  # what is foreign may raise anything
            reason = f"{distribution} is of no use ({type(error).__name__}: {error})"
            found = Speedup(name, None, reason, True)
        else:
            return Speedup(name, maker, distribution)
    return found


def _try_header_walk(maker: HeaderWalkMaker) -> None:
    """Walk over one element as a scanner would."""
    values: MutableAttributes = {}
    header = b"\x10\0\x20\0LO\4\0AB  "
    walk = maker({0x0010_0020: "LO"}, frozenset({0x0008_1140}), 0x0010_0020)
    found = walk.walk(header, 0, 0, 0x0008_0005, EXPLICIT | LITTLE_ENDIAN, 64, 64, values, _refuse)
    if found != (12, 0x0010_0020, False) or values != {0x0010_0020: ("AB",)}:
        raise ValueError("it walks otherwise than this version of pacs-core")


def _refuse(tag: int, vr: str, start: int, length: int) -> None:
    raise ValueError(f"it does not read {vr} of {length} bytes")


def _try_plain_elements(maker: PlainElementsMaker) -> None:
    """Take one element in one item as a reader would."""
    from pacs_core.dataset.data_elements import DataElement, ElementSet

    elements: dict[int, DataElement] = {}
    item = b"\xfe\xff\0\xe0\x0c\0\0\0\x10\0\x20\0LO\4\0AB  "
    dataset = b"\x08\0\x40\x11SQ\0\0\x14\0\0\0" + item
    limits = (64, 64, 64, 64, 64)
    taker = maker(DataElement, ElementSet)
    found = taker.take(dataset, 0, 32, elements, ("ISO_IR 100",), None, limits, -1, 0)
    within = ElementSet({0x0010_0020: DataElement(0x0010_0020, "LO", b"AB  ")}, ("ISO_IR 100",))
    read = {0x0008_1140: DataElement(0x0008_1140, "SQ", (within,))}
    if found != (32, 4, 2, 32, 0) or elements != read:
        raise ValueError("it reads otherwise than this version of pacs-core")
