"""Speedups: parts that another distribution has in C, taken where it is installed.

What is in Python here is the reference, and what is used without. A distribution offers a part by
an entry point in the group `GROUP`; the kernel imports none by name.
"""

import os
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Final, Protocol

from attrs import frozen

from pacs_core.dataset.layout import Buffer
from pacs_core.dataset.model import MutableAttributes
from pacs_core.entry_points import EntryPoint, find_entry_points

GROUP: Final = "pacs_core.speedups"
HEADER_WALK: Final = "header-walk"
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


HeaderWalkMaker = Callable[[dict[int, str], Iterable[int], int], HeaderWalk]


@frozen
class Speedup:
    """A part that may be in C.

    Attributes
    ----------
    maker : callable or None
        What makes it; None if the one in Python is used.
    detail : str
        The distribution that it comes from, or why there is none, as a clause.
    fault : bool
        Something is wrong with a distribution that offers it.
    """

    maker: HeaderWalkMaker | None
    detail: str
    fault: bool = False

    def __str__(self) -> str:
        return f"header scan in {'C' if self.maker else 'Python'}: {self.detail}"


@cache
def header_walk() -> Speedup:
    """Return what is used to walk over headers: the same in all of the life of a process."""
    if os.environ.get(OFF, "0") not in {"", "0"}:
        return Speedup(None, f"{OFF} is set")
    return choose(each for each in find_entry_points(GROUP) if each.name == HEADER_WALK)


def choose(points: Iterable[EntryPoint]) -> Speedup:
    """Return the first of those offered that can be used."""
    found = Speedup(None, "pacs-speedups is not installed")
    for point in points:
        name = point.distribution
        try:
            maker: Any = point.load()
            # Whatever is wrong with it shows here, and not when the first instance arrives.
            _try(maker)
        except ModuleNotFoundError:
            found = Speedup(None, f"{name} was built without a compiler")
        except Exception as error:  # what is foreign may raise anything
            found = Speedup(None, f"{name} is of no use ({type(error).__name__}: {error})", True)
        else:
            return Speedup(maker, name)
    return found


def _try(maker: HeaderWalkMaker) -> None:
    """Walk over one element as a scanner would."""
    values: MutableAttributes = {}
    header = b"\x10\0\x20\0LO\4\0AB  "
    walk = maker({0x0010_0020: "LO"}, frozenset({0x0008_1140}), 0x0010_0020)
    found = walk.walk(header, 0, 0, 0x0008_0005, EXPLICIT | LITTLE_ENDIAN, 64, 64, values, _refuse)
    if found != (12, 0x0010_0020, False) or values != {0x0010_0020: ("AB",)}:
        raise ValueError("it walks otherwise than this version of pacs-core")


def _refuse(tag: int, vr: str, start: int, length: int) -> None:
    raise ValueError(f"it does not read {vr} of {length} bytes")
