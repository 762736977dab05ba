"""Tables within SR documents (PS3.3 C.18.10)."""

from collections.abc import Iterator
from typing import Final

from attrs import frozen

from pacs_core.dataset import ElementSet, tag_of
from pacs_core.sr.content import code_of, items_of, text_of
from pacs_core.sr.values import show_date, show_moment, show_name, show_time, show_unit

_MOST_CELLS: Final = 50_000
_SHOWN: Final = {"DA": show_date, "TM": show_time, "DT": show_moment, "PN": show_name}
_TEXTS: Final = frozenset(
    {
        *("AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "PN", "SH"),
        *("SL", "SS", "ST", "SV", "TM", "UC", "UI", "UL", "UR", "US", "UT", "UV"),
    }
)


@frozen
class Table:
    """A table.

    Attributes
    ----------
    columns : tuple of str
        Heading of each column; empty texts where it has none.
    rows : tuple of (str, tuple of str)
        Of each row its heading, and its cells.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]

    def lines(self) -> Iterator[str]:
        """Iterate over its lines as text."""
        if any(self.columns):
            yield " | ".join(self.columns)
        for heading, cells in self.rows:
            yield " | ".join((heading, *cells) if heading else cells)


def read_table(elements: ElementSet) -> Table | None:
    """Return the table that is the value of a content item; None if it has none of a fair size."""
    for table in items_of(elements, "TabulatedValuesSequence")[:1]:
        rows, columns = (
            _number(table, f"NumberOfTable{each}") or 0 for each in ("Rows", "Columns")
        )
        if not 0 < rows * columns <= _MOST_CELLS:
            return None
        cells = [[""] * columns for _ in range(rows)]
        for row, column, value in _cells(table):
            if 0 < row <= rows and 0 < column <= columns:
                cells[row - 1][column - 1] = value
        headings = _headings(table, "Row", rows)
        return Table(
            tuple(_headings(table, "Column", columns)),
            tuple((heading, tuple(row)) for heading, row in zip(headings, cells, strict=True)),
        )
    return None


def _number(elements: ElementSet, keyword: str) -> int | None:
    text = text_of(elements, keyword)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None


def _headings(table: ElementSet, what: str, count: int) -> list[str]:
    headings = [""] * count
    for item in items_of(table, f"Table{what}DefinitionSequence"):
        unit = show_unit(code_of(item, "MeasurementUnitsCodeSequence"))
        name = str(code_of(item, "ConceptNameCodeSequence")) + (f" ({unit})" if unit else "")
        number = _number(item, f"Table{what}Number")
        if number is None:
            headings = [name] * count  # it is what all of them are
        elif 0 < number <= count:
            headings[number - 1] = name
    return headings


def _cells(table: ElementSet) -> Iterator[tuple[int, int, str]]:
    """Iterate over row, column and value of what is given cell by cell, or in rows or columns."""
    for item in items_of(table, "CellValuesSequence"):
        row, column = _number(item, "TableRowNumber"), _number(item, "TableColumnNumber")
        for place, value in enumerate(_values(item), 1):
            if row is not None and column is not None:
                yield row, column, value
                break
            if row is not None or column is not None:
                yield row or place, column or place, value


def _values(item: ElementSet) -> Iterator[str]:
    vr = text_of(item, "SelectorAttributeVR")
    if vr == "SQ":
        for each in items_of(item, "SelectorCodeSequenceValue"):
            yield text_of(each, "CodeMeaning") or text_of(each, "CodeValue")
    elif vr in _TEXTS:
        show = _SHOWN.get(vr, str)
        yield from map(show, item.texts(tag_of(f"Selector{vr}Value")))
