"""All attributes of an instance, as rows of a table."""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from attrs import frozen

from pacs_core.contracts import InstanceHeader
from pacs_core.dataset import BulkData, ElementSet, keyword_of
from pacs_web_ui.charts import show_number

_LONGEST: Final = 500  # characters of a value that is shown
MOST: Final = 20_000
"""Rows that are shown; a browser takes seconds for more."""


@frozen
class Row:
    """An element: how deep it lies, what it is called, and what it says."""

    depth: int
    tag: str
    keyword: str
    vr: str
    value: str


def rows_of(header: InstanceHeader) -> tuple[list[Row], bool]:
    """Return the elements, items of sequences below them, at most `MOST`; and whether it is all."""
    rows = _rows(header.elements, 0)
    return list(islice(rows, MOST)), next(rows, None) is None


def _rows(elements: ElementSet, depth: int) -> Iterator[Row]:
    for each in elements:
        tag = f"({each.tag >> 16:04X},{each.tag & 0xFFFF:04X})"
        name = elements.private_creator(each.tag) if each.tag >> 16 & 1 else keyword_of(each.tag)
        if isinstance(each.value, BulkData):
            length = each.value.length
            size = "" if length is None else f"{show_number(length)} B"
            yield Row(depth, tag, name, each.vr, size)
        elif isinstance(each.value, tuple):
            yield Row(depth, tag, name, each.vr, f"{len(each.value)} ×")
            for number, item in enumerate(each.value, 1):
                yield Row(depth + 1, "", f"{number}", "", "")
                yield from _rows(item, depth + 2)
        else:
            text = "\\".join(elements.texts(each.tag)) or (
                f"{show_number(len(each.value))} B" * bool(each.value)
            )
            yield Row(depth, tag, name, each.vr, text[:_LONGEST] + "…" * (len(text) > _LONGEST))
