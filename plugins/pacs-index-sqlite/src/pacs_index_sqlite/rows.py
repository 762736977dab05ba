"""From the attributes of a record to the columns of a table, with as little work as can be."""

from collections.abc import Iterable

from attrs import define, field

from pacs_core.dataset import Attributes
from pacs_index_sqlite.catalog import Attribute, Stored

Several = list[tuple[str, Stored]]


@define
class RowMaker:
    """Makes rows for some attributes of one level: values in the order of `columns`."""

    attributes: tuple[Attribute, ...]
    columns: tuple[str, ...] = field(init=False)
    _places: dict[int, tuple[int, bool, Attribute]] = field(factory=dict, init=False)
    _blank: list[Stored] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.columns = tuple(c for a in self.attributes for c in a.columns)
        self._blank = [None] * len(self.columns)
        place = 0
        for attribute in self.attributes:
            plain = attribute.vr != "SQ" and len(attribute.columns) == 1
            self._places[attribute.tag] = (place, plain, attribute)
            place += len(attribute.columns)

    def row(self, values: Attributes) -> tuple[list[Stored], Several]:
        """Return the content of the columns, and rows for the table `several`."""
        row, several = self._blank.copy(), Several()
        for tag in self._places.keys() & values.keys():
            place, plain, attribute = self._places[tag]
            found = values[tag]
            if plain and len(found) == 1 and isinstance(found[0], str):
                row[place] = found[0] or None
            elif found:
                row[place : place + len(attribute.columns)] = attribute.row(found)
                if len(found) > 1 or attribute.sounds_indexed:
                    several += attribute.several(found)
        return row, several


def insertion(table: str, keys: Iterable[str], columns: Iterable[str]) -> str:
    """Return the statement that inserts a row."""
    names = [*keys, *columns]
    marks = ", ".join("?" * len(names))
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608
