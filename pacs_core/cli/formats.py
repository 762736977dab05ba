"""Matches of a query as a table, JSON or CSV."""

import csv
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

from pacs_core.cli.output import dump_json, print_table
from pacs_core.dataset import Attributes, Value, keyword_of
from pacs_core.logs.escaping import escape

Format = Literal["table", "json", "csv"]

_WIDEST = 64
"""Characters of a value that a table shows."""

_UNSHOWN = frozenset({0x0008_0005, 0x0008_0052, 0x0008_0054})
"""Character set, level and Retrieve AE Title: in every match, and not of it."""


class MatchWriter(ABC):
    """Writes matches to standard output.

    Parameters
    ----------
    columns : sequence of int
        Tags that were asked for, in order.
    """

    def __init__(self, columns: Sequence[int]) -> None:
        self.columns = columns
        self.keywords = [keyword_of(tag) for tag in columns]

    @abstractmethod
    def write(self, match: Attributes) -> None:
        """Write a match, or keep it until all are known."""

    @abstractmethod
    def close(self) -> None:
        """Write what is left."""

    def cells(self, match: Attributes) -> list[str]:
        """Return the asked-for values as text."""
        return [_text(match.get(tag, ())) for tag in self.columns]


class TableWriter(MatchWriter):
    """Columns that are as wide as their values."""

    def __init__(self, columns: Sequence[int]) -> None:
        super().__init__(columns)
        self._rows: list[list[str]] = []

    def write(self, match: Attributes) -> None:
        """Keep a match: the widths depend on all."""
        self._rows.append([_shorten(escape(cell)) for cell in self.cells(match)])

    def close(self) -> None:
        """Print the table, unless it is empty."""
        if self._rows:
            print_table(self.keywords, self._rows)


class CsvWriter(MatchWriter):
    """RFC 4180, several values separated by backslashes as in DICOM."""

    def __init__(self, columns: Sequence[int]) -> None:
        super().__init__(columns)
        self._csv = csv.writer(sys.stdout)
        self._has_header = False

    def write(self, match: Attributes) -> None:
        """Write a row."""
        self._write_header()
        cells = self.cells(match)
        # A file gets values as they are; a terminal would act on what a peer has put into them.
        self._csv.writerow(map(escape, cells) if sys.stdout.isatty() else cells)

    def close(self) -> None:
        """Write the header if there was no row to do it."""
        self._write_header()

    def _write_header(self) -> None:
        if not self._has_header:
            self._csv.writerow(self.keywords)
            self._has_header = True


class JsonWriter(MatchWriter):
    """An array of objects; see :func:`pacs_core.cli.commands.find.find`."""

    _separator = "[\n"

    def write(self, match: Attributes) -> None:
        """Write an object."""
        shown = {tag: values for tag, values in match.items() if tag not in _UNSHOWN}
        print(self._separator + dump_json(_plain(shown)), end="")
        self._separator = ",\n"

    def close(self) -> None:
        """End the array."""
        print("[]" if self._separator == "[\n" else "\n]")


WRITERS: dict[Format, type[MatchWriter]] = {
    "table": TableWriter,
    "json": JsonWriter,
    "csv": CsvWriter,
}


def _plain(attributes: Attributes) -> dict[str, object]:
    return {keyword_of(tag): _json(values) for tag, values in attributes.items()}


def _json(values: tuple[Value, ...]) -> object:
    if not values:
        return None
    if len(values) == 1 and isinstance(values[0], str):
        return values[0]
    return [value if isinstance(value, str) else _plain(value) for value in values]


def _text(values: tuple[Value, ...]) -> str:
    if any(not isinstance(value, str) for value in values):
        return dump_json(_json(values))
    return "\\".join(value for value in values if isinstance(value, str))


def _shorten(cell: str) -> str:
    return cell if len(cell) <= _WIDEST else f"{cell[: _WIDEST - 1]}…"
