"""Findings of a validation, and where in a dataset they are."""

from typing import Final

from attrs import define, field, frozen

from pacs_core.dataset import keyword_of

ERROR: Final = "error"
WARNING: Final = "warning"
MOST: Final = 500
"""Different findings that are kept of one file."""


@frozen
class Finding:
    """Something that is not as the standard says.

    Attributes
    ----------
    level : str
        "error": the standard forbids it; "warning": it is allowed, or cannot be told, but unusual.
    rule : str
        What was looked at: "module", "type", "value", "vr", "vm", "uid", "charset", "pixels",
        "codestream", "meta", "structure".
    place : str
        ``SEQUENCE[1].KEYWORD``, items counted from 1; empty for the file.
    text : str
        What is wrong.
    reference : str
        Part and section.
    """

    level: str
    rule: str
    place: str
    text: str
    reference: str


@define
class Findings:
    """The findings of one file, each once, however many items have it.

    Attributes
    ----------
    found : dict of Finding to int
        With how many items have it; the place is that of the first.
    left_out : int
        How many more there are than `MOST`.
    """

    found: dict[Finding, int] = field(factory=dict)
    left_out: int = 0
    _first: dict[tuple[object, ...], Finding] = field(factory=dict)

    def add(
        self, level: str, rule: str, path: tuple[int, ...], text: str, reference: str = ""
    ) -> None:
        """Note something.

        Parameters
        ----------
        level, rule, text, reference : str
            As of `Finding`.
        path : tuple of int
            Where it is, as :data:`pacs_core.dataset.ElementPath`.
        """
        key = (level, rule, path[::2], text)
        first = self._first.get(key)
        if first is None:
            if len(self.found) >= MOST:
                self.left_out += 1
                return
            first = Finding(level, rule, name_place(path), text, reference)
            self._first[key] = first
        self.found[first] = self.found.get(first, 0) + 1

    def count(self, level: str) -> int:
        """Return how many different findings there are of a level."""
        return sum(each.level == level for each in self.found)


def name_place(path: tuple[int, ...]) -> str:
    """Return a path as people write it."""
    parts = []
    for position in range(0, len(path), 2):
        number = f"[{path[position + 1] + 1}]" if position + 1 < len(path) else ""
        parts.append(f"{keyword_of(path[position])}{number}")
    return ".".join(parts)
