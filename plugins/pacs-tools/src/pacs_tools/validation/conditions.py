"""Conditions of PS3.3: whether they hold in a dataset, and how they read."""

from collections.abc import Iterator
from typing import Any, Final

from attrs import frozen

from pacs_core.dataset import DataElement, ElementSet, keyword_of

_SHARED: Final = 0x5200_9229
_PER_FRAME: Final = 0x5200_9230
_SHOWN: Final = 6


@frozen
class Scope:
    """The item that an attribute is in, and all that this is in, innermost last.

    Attributes
    ----------
    sets : tuple of ElementSet
    path : tuple of int
        Of the innermost: tags and numbers of items.
    """

    sets: tuple[ElementSet, ...]
    path: tuple[int, ...] = ()

    @property
    def elements(self) -> ElementSet:
        """The innermost item, or the dataset."""
        return self.sets[-1]

    def enter(self, tag: int, number: int, item: ElementSet) -> "Scope":
        """Return the scope of an item of a sequence that is here."""
        return Scope((*self.sets, item), (*self.path, tag, number))

    def find(self, tag: int) -> tuple[DataElement, ElementSet] | None:
        """Return the nearest element with a tag, and what it is in.

        A condition names attributes of the item, of what the item is in, and in functional groups
        those of other groups.
        """
        for each in (*reversed(self.sets), *self._groups()):
            if (element := each.elements.get(tag)) is not None:
                return element, each
        return None

    def _groups(self) -> Iterator[ElementSet]:
        if not self.path or self.path[0] not in {_SHARED, _PER_FRAME}:
            return
        # What a condition is about may be in the shared groups, or in those of each frame.
        others = [self.sets[0].elements.get(tag) for tag in (_SHARED, _PER_FRAME)]
        first = [item for sequence in others if sequence for item in sequence.items[:1]]
        for group in (*self.sets[1:2], *first):
            for element in group:
                yield from element.items[:1]


def holds(expression: list[Any], scope: Scope) -> bool:
    """Tell whether a condition is true.

    Parameters
    ----------
    expression : list
        See :class:`pacs_tools.validation.tables.Condition`.
    scope : Scope
        Of the attribute whose condition it is.
    """
    operator: str = expression[0]
    rest = expression[1:]
    if operator in {"and", "or"}:
        quantifier = all if operator == "and" else any
        return quantifier(holds(part, scope) for part in rest)
    tag: str = rest[0]
    number: int = rest[1]
    values: list[str] = rest[2:]
    found = scope.find(int(tag, 16))
    if operator in {"+", "-"}:
        return (found is not None) == (operator == "+")
    if found is None:
        return False
    element, within = found
    if operator == "++":
        return bool(element.value)
    texts = within.texts(element.tag)
    if operator == "has":
        return not set(values).isdisjoint(texts)
    text = texts[number] if number < len(texts) else ""
    return _compare(operator, text, values) if text else False


def _compare(operator: str, text: str, values: list[str]) -> bool:
    if operator == "=>":
        return any(value.isdecimal() and text == f"{int(value):08X}" for value in values)
    if operator in {"=", "!="}:
        known = {_plain(value) for value in values}
        return (_plain(text) in known) is (operator == "=")
    try:
        number = float(text)
        if operator == "!0":
            return number != 0
        return number > float(values[0]) if operator == ">" else number < float(values[0])
    except ValueError:
        return False


def _plain(text: str) -> str:
    return str(int(text)) if text.isascii() and text.isdecimal() and len(text) < 20 else text


_WORDS: Final = {
    "+": "is present", "++": "has a value", "-": "is absent", "!0": "is not 0",
    "=": "is", "!=": "is not", ">": "is greater than", "<": "is less than", "=>": "refers to",
    "has": "has",
}  # fmt: skip


def describe(expression: list[Any]) -> str:
    """Return a condition in words."""
    operator, *rest = expression
    if operator in {"and", "or"}:
        parts = (f"({describe(p)})" if p[0] in {"and", "or"} else describe(p) for p in rest)
        return f" {operator} ".join(parts)
    tag, number, *values = rest
    value = f" value {number + 1}" if number else ""
    shown = " or ".join(values[:_SHOWN]) + (" ..." if len(values) > _SHOWN else "")
    return f"{keyword_of(int(tag, 16))}{value} {_WORDS[operator]} {shown}".rstrip()
