"""Rows of a table, made of a record's attributes with as little work as can be."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

from attrs import define, field

from pacs_core.contracts import timezone_of
from pacs_core.dataset import Attributes
from pacs_core.relational.catalog import Attribute, Stored

Several = list[tuple[str, Stored]]
Values = tuple[str | Attributes, ...]

_SHORT: Final = 64
"""Characters up to which it is remembered what a value becomes in the columns."""


@define
class RowMaker:
    """Makes rows for some attributes of one level: values in the order of `columns`."""

    attributes: tuple[Attribute, ...]
    columns: tuple[str, ...] = field(init=False)
    _places: dict[int, tuple[int, bool, Attribute]] = field(factory=dict, init=False)
    _blank: list[Stored] = field(init=False)
    _remembered: Callable[[int, Values, str], tuple[tuple[Stored, ...], Several]] = field(
        init=False
    )

    def __attrs_post_init__(self) -> None:
        # Most dates, times, numbers and names are in many instances.
        self._remembered = lru_cache(maxsize=8192)(self._make)
        self.columns = tuple(c for a in self.attributes for c in a.columns)
        self._blank = [None] * len(self.columns)
        place = 0
        for attribute in self.attributes:
            plain = attribute.vr != "SQ" and len(attribute.columns) == 1
            self._places[attribute.tag] = (place, plain, attribute)
            place += len(attribute.columns)

    def _make(self, tag: int, values: Values, offset: str) -> tuple[tuple[Stored, ...], Several]:
        attribute = self._places[tag][2]
        more = len(values) > 1 or attribute.sounds_indexed or offset
        several = attribute.several(values, offset) if more else []
        return (attribute.row(values, offset), several)

    def row(self, values: Attributes) -> tuple[list[Stored], Several]:
        """Return the content of the columns, and rows for the table `several`."""
        row, several = self._blank.copy(), Several()
        for tag in self._places.keys() & values.keys():
            place, plain, attribute = self._places[tag]
            found = values[tag]
            if not found:
                continue
            value = found[0] if len(found) == 1 else None
            if plain and isinstance(value, str):
                row[place] = value or None
                continue
            offset = timezone_of(values) if attribute.vr == "DT" else ""
            short = isinstance(value, str) and len(value) <= _SHORT
            made = (self._remembered if short else self._make)(tag, found, offset)
            row[place : place + len(made[0])] = made[0]
            several += made[1]
        return row, several


def insertion(table: str, keys: Iterable[str], columns: Iterable[str]) -> str:
    """Return the statement that inserts a row."""
    names = [*keys, *columns]
    marks = ", ".join("?" * len(names))
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608
