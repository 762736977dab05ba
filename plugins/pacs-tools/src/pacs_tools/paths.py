"""Places of attributes as they are typed: ``OtherPatientIDsSequence[1].PatientID``."""

import re
from collections.abc import Iterator
from typing import Final

from attrs import frozen

from pacs_core.api.file_commands import UsageError
from pacs_core.dataset import ElementPath, ElementSet, UnknownAttribute, tag_of

_STEP: Final = re.compile(
    r"([A-Za-z0-9]+|\(?[0-9A-Fa-f]{4},[0-9A-Fa-f]{4}\)?)(?:\[(\*|[0-9]{1,6})\])?"
)


@frozen
class AttributePath:
    """A place, which may stand for one in each item of a sequence.

    Attributes
    ----------
    text : str
        As typed.
    steps : tuple of (int, int or None)
        Tag, and number of the item from 0 or None for all, of each sequence.
    tag : int
        Of the attribute.
    """

    text: str
    steps: tuple[tuple[int, int | None], ...]
    tag: int

    def find(self, elements: ElementSet, *, existing: bool = False) -> Iterator[ElementPath]:
        """Iterate over the places that there are in a dataset.

        Parameters
        ----------
        elements : ElementSet
        existing : bool
            Only where there is such an element already.
        """
        found: list[tuple[ElementPath, ElementSet]] = [((), elements)]
        for tag, number in self.steps:
            found = [
                ((*path, tag, n), item)
                for path, within in found
                if (sequence := within.elements.get(tag)) is not None
                for n, item in enumerate(sequence.items)
                if number in {None, n}
            ]
        for path, within in found:
            if not existing or self.tag in within.elements:
                yield (*path, self.tag)


def parse_path(text: str) -> AttributePath:
    """Return the place that is typed; items are counted from 1, and ``[*]`` is each of them.

    Raises
    ------
    UsageError
        A keyword is unknown, or it is not written so.
    """
    steps: list[tuple[int, int | None]] = []
    parts = text.split(".")
    for last, part in ((part is parts[-1], part) for part in parts):
        match = _STEP.fullmatch(part)
        if match is None or bool(match[2]) == last:
            what = "write it as KEYWORD, or SEQUENCE[1].KEYWORD, SEQUENCE[*].KEYWORD"
            raise UsageError(f"{text[:80]}: {what}")
        try:
            tag = tag_of(match[1])
        except UnknownAttribute as error:
            raise UsageError(str(error)) from error
        if last:
            return AttributePath(text, tuple(steps), tag)
        if match[2] == "0":
            raise UsageError(f"{text[:80]}: items are counted from 1")
        steps.append((tag, None if match[2] == "*" else int(match[2]) - 1))
    raise UsageError("no attribute is named")
