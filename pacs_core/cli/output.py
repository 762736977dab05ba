"""Text for people: escaped, aligned, and on the right stream."""

import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from pacs_core.logs.escaping import escape

T = TypeVar("T")


def dump_json(value: object, *, indent: int | None = None) -> str:
    """Return JSON for people, in which nothing acts on a terminal.

    Letters of all scripts are as they are. Controls that JSON allows in a string, such as those of
    ISO 6429 beyond ASCII, are escaped besides.

    Parameters
    ----------
    value
        What :func:`json.dumps` takes.
    indent : int, optional
        Spaces for each depth; without, all is in one line.
    """
    import json  # with its decoder, which a command that prints text does not need

    lines = json.dumps(value, ensure_ascii=False, indent=indent).split("\n")
    return "\n".join(
        line
        if line.isprintable()
        else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)
        for line in lines
    )


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


async def print_rows(
    columns: Mapping[str, int],
    found: AsyncIterator[T],
    cells: Callable[[T], Iterable[str]],
    limit: int,
) -> None:
    """Print a table of the first that are found, each when it is, and close the iterator.

    Parameters
    ----------
    columns : mapping of str to int
        Headings with their widths, as of :func:`print_row`.
    found : async iterator
    cells : callable
        Returns the cells of one.
    limit : int
        How many at most.
    """
    from pacs_core.concurrency import closing, take  # it takes its time, and few commands need it

    print_row(columns, columns.values())
    async with closing(take(found, limit)) as rows:
        async for each in rows:
            print_row(cells(each), columns.values())
