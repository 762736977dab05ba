"""SR documents as plain text."""

import textwrap
from collections.abc import Iterator
from typing import Final

from pacs_core.sr.content import ContentItem
from pacs_core.sr.document import SRDocument
from pacs_core.sr.page import TOO_MUCH, clean_text
from pacs_core.sr.tables import read_table

_WIDTH: Final = 100
_DEEPEST: Final = 20
"""Levels that are indented."""


def text_lines(document: SRDocument) -> Iterator[str]:
    """Iterate over the lines of a document."""
    title = " ".join(clean_text(document.title or "Structured report").split())
    yield title
    yield "=" * len(title)
    for name, value in (("State", ", ".join(document.states)), *document.facts):
        if value:
            yield f"{name}: {' '.join(clean_text(value).split())}"
    if not document.is_whole:
        yield TOO_MUCH
    for item in document.root.items:
        yield from _item(document, item, 0)
    if not document.is_whole:
        yield TOO_MUCH


def _item(document: SRDocument, item: ContentItem, depth: int) -> Iterator[str]:
    indent = "  " * min(depth, _DEEPEST)
    if item.value_type == "CONTAINER":
        yield ""
        if name := str(item.name):
            yield from _wrap(name, indent)
    elif (there := document.targets.get(item.target)) is not None:
        yield from _wrap(f"{item.name}: see {there}" if str(item.name) else f"see {there}", indent)
    else:
        # What follows the first line of a text is not taken for another item.
        first, *others = clean_text(str(item)).split("\n")
        yield from _wrap(first, indent)
        for line in others:
            yield from _wrap(line, f"{indent}  ")
        if item.value_type == "TABLE" and (table := read_table(item.elements)):
            yield from (f"{indent}  {clean_text(' '.join(row.split()))}" for row in table.lines())
    for each in item.items:
        yield from _item(document, each, depth + 1)


def _wrap(text: str, indent: str) -> list[str]:
    text = clean_text(text)
    if len(indent) + len(text) <= _WIDTH and "\n" not in text and "\t" not in text:
        return [f"{indent}{text}".rstrip()]
    return textwrap.wrap(
        text, max(_WIDTH, len(indent) + 40), initial_indent=indent,
        subsequent_indent=f"{indent}  ", break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
