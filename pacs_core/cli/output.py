"""Text for people: escaped, aligned, and on the right stream."""

import sys
from collections.abc import Iterable, Sequence


def escape(text: str) -> str:
    """Return text in which nothing acts on a terminal or begins a new line."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def complain(message: str) -> None:
    """Write one line to standard error."""
    print(f"pacs: {escape(message)}", file=sys.stderr)


def say(message: str) -> None:
    """Write one line to standard output."""
    print(escape(message))


def count(number: int, singular: str, plural: str = "") -> str:
    """Return a number and what is counted.

    >>> count(1, "file"), count(2, "match", "matches")
    ('1 file', '2 matches')
    """
    return f"{number} {singular if number == 1 else plural or singular + 's'}"


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns, each as wide as its widest cell."""
    cells = [list(header), *([escape(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(padded).rstrip())


def print_row(cells: Iterable[str], widths: Iterable[int]) -> None:
    """Print a line of a table whose rows come one by one, so that widths are chosen beforehand.

    Parameters
    ----------
    cells : iterable of str
    widths : iterable of int
        Of the columns, the space after each included; a cell that is wider moves the rest.
    """
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    line = "".join(c if c.isprintable() else " " for c in "".join(padded))
    print(line.rstrip())
