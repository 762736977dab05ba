"""Writes a document as Markdown."""

from collections.abc import Iterable

from pacs_core.conformance.document import DocumentTable, StatementSection

_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\`*_[]<>|"})


def to_markdown(sections: Iterable[StatementSection]) -> str:
    """Return the document as Markdown with tables."""
    return "\n".join(_section(section) for section in sections)


def _section(section: StatementSection) -> str:
    heading = f"{'#' * (section.depth + 1)} {_text(section.heading)}\n"
    return "\n".join([heading, *(f"{_block(block)}\n" for block in section.blocks)])


def _block(block: str | DocumentTable) -> str:
    if isinstance(block, str):
        return _text(block)
    rule = ("---",) * len(block.header)
    return "\n".join(map(_row, (tuple(map(_text, block.header)), rule, *_texts(block))))


def _texts(table: DocumentTable) -> Iterable[tuple[str, ...]]:
    return (tuple(map(_text, row)) for row in table.rows)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _text(text: str) -> str:
    return " ".join(text.split()).translate(_SPECIAL)
