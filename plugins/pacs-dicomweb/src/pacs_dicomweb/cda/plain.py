"""HL7 CDA documents as plain text."""

import re
from collections.abc import Iterator
from typing import Final
from xml.etree.ElementTree import Element

from pacs_dicomweb.cda.document import ClinicalDocument, Section

_BLOCKS: Final = frozenset({"paragraph", "list", "table", "tr", "caption", "br", "footnote"})
_CELLS: Final = frozenset({"th", "td"})
_DELETED: Final = "\u0336"
"""What strikes out the character before it."""


def write_text(document: ClinicalDocument) -> str:
    """Return a document as text, a line for each of its paragraphs, items and rows."""
    pieces = [document.title, "\n", *(f"{line}\n" for line in document.lines)]
    for section in document.sections:
        pieces += _section(section)
    pieces += ["\n", document.text or document.other]
    lines = (" ".join(line.split()) for line in "".join(pieces).splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def _section(section: Section) -> Iterator[str]:
    yield f"\n\n{section.title}\n"
    if section.narrative is not None:
        yield from _within(section.narrative)
    for each in section.sections:
        yield from _section(each)


def _within(element: Element, *, is_deleted: bool = False) -> Iterator[str]:
    yield _flat(element.text, is_deleted)
    for each in element:
        yield from _element(each, is_deleted)
        yield _flat(each.tail, is_deleted)


def _element(element: Element, is_deleted: bool) -> Iterator[str]:
    is_block = element.tag in _BLOCKS
    yield "\n" if is_block else "\n- " if element.tag == "item" else ""
    is_deleted = is_deleted or element.get("revised") == "delete"
    yield from _within(element, is_deleted=is_deleted)
    if element.tag == "linkHtml":
        yield f" ({element.get('href', '')})"
    yield "\n" if is_block else " | " if element.tag in _CELLS else ""


def _flat(text: str | None, is_deleted: bool) -> str:
    """Return text of one line; what is deleted is struck out, letter by letter."""
    flat = re.sub(r"\s+", " ", text or "")
    return "".join(character + _DELETED for character in flat) if is_deleted else flat
