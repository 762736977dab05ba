"""Places of attributes as they are typed: ``OtherPatientIDsSequence[1].PatientID``.

A private attribute is ``0011,[ACME 1.0],01``: group, Private Creator, and the last two digits of
the element, since the other two are those of the block that its creator has in this very dataset
or item (PS3.5 §7.8.1). ``:LO`` after it says its VR, which PS3.6 does not know.
"""

import re
from collections.abc import Iterator
from typing import Final

from attrs import field, frozen

from pacs_core.api.file_commands import CommandError, UsageError
from pacs_core.dataset import ElementPath, ElementSet, UnknownAttribute, tag_of

_STEP: Final = re.compile(
    r"(?:(?P<name>[A-Za-z0-9]+|\(?[0-9A-Fa-f]{4},[0-9A-Fa-f]{4}\)?)"
    r"|(?P<group>[0-9A-Fa-f]{4}),\[(?P<creator>[ -Z^-~]{1,64})\],(?P<element>[0-9A-Fa-f]{2}))"
    r"(?::(?P<vr>[A-Z]{2}))?(?:\[(?P<item>\*|-?[0-9]{1,6})\])?(?P<more>\.|$)"
)
_NOT_PRIVATE: Final = frozenset({1, 3, 5, 7, 0xFFFF})
"""Odd groups that are not for private elements (PS3.5 §7.8.1)."""

_FIRST_BLOCK: Final = 0x10


@frozen
class Attribute:
    """An attribute as it is typed.

    Attributes
    ----------
    tag : int
        With the block left out if a creator is named.
    creator : str
        Private Creator; empty if the tag is the whole one.
    vr : str
        Of a private attribute, if it was said.
    """

    tag: int
    creator: str = ""
    vr: str = ""

    def find(self, elements: ElementSet) -> int | None:
        """Return its tag in a dataset or item; None if its creator has no block there."""
        if not self.creator:
            return self.tag
        group = self.tag >> 16 << 16
        tags = [
            group | (tag & 0xFF) << 8 | self.tag & 0xFF
            for tag in range(group | _FIRST_BLOCK, group | 0x100)
            if tag in elements.elements and elements.texts(tag) == (self.creator,)
        ]
        # A creator may have reserved several blocks.
        return next((tag for tag in tags if tag in elements.elements), next(iter(tags), None))

    def place(self, elements: ElementSet) -> int:
        """Return its tag in a dataset or item, in the first free block if its creator has none.

        Raises
        ------
        CommandError
            All blocks of the group are taken.
        """
        if (tag := self.find(elements)) is not None:
            return tag
        group = self.tag >> 16 << 16
        # What lies in a block that nobody has reserved would become this creator's.
        taken = {tag >> 8 & 0xFF for tag in elements.elements if tag >> 16 << 16 == group}
        for block in range(_FIRST_BLOCK, 0x100):
            if block not in taken and group | block not in elements.elements:
                return group | block << 8 | self.tag & 0xFF
        raise CommandError(f"group {self.tag >> 16:04X} has no free block for {self.creator!r}")


@frozen
class AttributePath:
    """A place, which may stand for one in each item of a sequence.

    Attributes
    ----------
    text : str
        As typed.
    attribute : Attribute
    steps : tuple of (Attribute, int or None)
        Sequence, and number of the item from 0, from the end if negative, or None for all.
    """

    text: str
    attribute: Attribute
    steps: tuple[tuple[Attribute, int | None], ...] = field(default=())

    def find(self, elements: ElementSet, *, existing: bool = False) -> Iterator[ElementPath]:
        """Iterate over the places that there are in a dataset.

        Parameters
        ----------
        elements : ElementSet
        existing : bool
            Only where there is such an element already.

        Raises
        ------
        CommandError
            There is no block for a private attribute.
        """
        found: list[tuple[ElementPath, ElementSet]] = [((), elements)]
        for attribute, number in self.steps:
            found = [
                ((*path, tag, n), item)
                for path, within in found
                if (tag := attribute.find(within)) is not None
                if (sequence := within.elements.get(tag)) is not None
                for n, item in enumerate(sequence.items)
                if number in {None, n, n - len(sequence.items)}
            ]
        for path, within in found:
            tag = self.attribute.find(within) if existing else self.attribute.place(within)
            if tag is not None and (tag in within.elements or not existing):
                yield (*path, tag)


def parse_path(text: str) -> AttributePath:
    """Return the place that is typed; items are counted from 1, and ``[*]`` is each of them.

    Raises
    ------
    UsageError
        A keyword is unknown, or it is not written so.
    """
    steps: list[tuple[Attribute, int | None]] = []
    position = 0
    while (match := _STEP.match(text, position)) is not None:
        position = match.end()
        is_last, item = not match["more"], match["item"]
        if bool(item) == is_last:
            break
        attribute = _attribute(text, match)
        if is_last:
            return AttributePath(text, attribute, tuple(steps))
        if int(item.replace("*", "1")) == 0:
            raise UsageError(f"{text[:80]!r}: items are counted from 1, or from -1, the last one")
        number = int(item) if item != "*" else None
        steps.append((attribute, number - 1 if number is not None and number > 0 else number))
    what = "KEYWORD, or SEQUENCE[1].KEYWORD, SEQUENCE[*].KEYWORD"
    raise UsageError(f"{text[:80]!r}: write it as {what}; a private one as 0011,[CREATOR],01")


def _attribute(text: str, match: re.Match[str]) -> Attribute:
    vr = match["vr"] or ""
    if (name := match["name"]) is None:
        tag = int(match["group"], 16) << 16 | int(match["element"], 16)
    else:
        try:
            tag = tag_of(name)
        except UnknownAttribute as error:
            raise UsageError(str(error)) from error
    group = tag >> 16
    if match["creator"] and (not group & 1 or group in _NOT_PRIVATE):
        raise UsageError(f"{text[:80]!r}: {group:04X} is no group of private attributes")
    if vr and not group & 1:
        raise UsageError(f"{text[:80]!r}: the VR of an attribute that PS3.6 has is not to be said")
    return Attribute(tag, (match["creator"] or "").strip(), vr)
