"""SR documents as a tree, as plain text, and as HTML."""

import textwrap
from collections.abc import Iterable, Iterator
from html import escape as escape_html
from typing import Final

from pacs_core.api.file_commands import escape
from pacs_core.dataset import ElementSet
from pacs_tools.sr.content import ContentItem, text
from pacs_tools.styles import Style

_WIDTH: Final = 100
_HEADER: Final = {
    "Patient": ("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    "Study": ("StudyDate", "StudyDescription", "AccessionNumber"),
    "Document": (
        "ContentDate",
        "ContentTime",
        "CompletionFlag",
        "VerificationFlag",
        "Manufacturer",
    ),
}
"""What precedes a document for people (PS3.3 C.7.1.1, C.7.2.1, C.17.2)."""

_CSS: Final = """
body{font:1rem/1.45 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse}th{text-align:left;padding-right:1.5rem;font-weight:600}
dl{margin:.4rem 0 .4rem 1rem}dt{float:left;clear:left;padding-right:.6rem;font-weight:600}
dd{margin:0 0 .2rem 2rem;overflow-wrap:anywhere;white-space:pre-line}
section{margin-left:1rem;border-left:2px solid #ccc;padding-left:1rem}
small{color:#555}
"""


def header_of(elements: ElementSet) -> list[tuple[str, str]]:
    """Return what of patient, study and document people want to see first."""
    rows = []
    for name, keywords in _HEADER.items():
        values = [value for keyword in keywords if (value := text(elements, keyword))]
        if values:
            rows.append((name, ", ".join(values)))
    return rows


def tree_lines(root: ContentItem, style: Style) -> Iterator[str]:
    """Iterate over lines, one for each item: relationship, value type, concept and value."""
    for item in root.walk():
        indent = "  " * item.number.count(".")
        kind = style("dim", " ".join(filter(None, (item.relationship.lower(), item.value_type))))
        name = style("name", escape(str(item.name)))
        value = escape(item.value)
        said = f"{name}: {value}" if name and value else name or value
        yield f"{indent}{style('dim', item.number)} {kind} {said}".rstrip()


def text_lines(elements: ElementSet, root: ContentItem) -> Iterator[str]:
    """Iterate over the lines of a plain text."""
    title = escape(str(root.name)) or "Structured report"
    yield title
    yield "=" * len(title)
    for name, value in header_of(elements):
        yield escape(f"{name}: {value}")
    yield from _text_items(root.items, 0)


def _text_items(items: Iterable[ContentItem], depth: int) -> Iterator[str]:
    indent = "  " * depth
    for item in items:
        if item.value_type == "CONTAINER":
            yield ""
            yield f"{indent}{escape(str(item.name)) or 'Section'}"
            yield from _text_items(item.items, depth + 1)
            continue
        said = ": ".join(filter(None, (str(item.name), item.value)))
        for line in said.splitlines() or [""]:
            yield from textwrap.wrap(
                escape(line), _WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ",
                break_long_words=False, break_on_hyphens=False,
            )  # fmt: skip
        yield from _text_items(item.items, depth + 1)


def html_lines(elements: ElementSet, root: ContentItem) -> Iterator[str]:
    """Iterate over the lines of a page in which nothing of the document acts as markup.

    It refers to nothing, has no script, and forbids both.
    """
    title = escape_html(str(root.name)) or "Structured report"
    yield '<!DOCTYPE html>\n<html lang="und">\n<head>\n<meta charset="utf-8">'
    yield (
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    )
    yield f"<title>{title}</title>\n<style>{_CSS}</style>\n</head>"
    yield f"<body>\n<h1>{title}</h1>\n<table>"
    for name, value in header_of(elements):
        yield f"<tr><th>{name}</th><td>{escape_html(value)}</td></tr>"
    yield "</table>"
    yield from _html_items(root.items, 2)
    yield "</body>\n</html>"


def _html_items(items: Iterable[ContentItem], level: int) -> Iterator[str]:
    for item in items:
        name, value = escape_html(str(item.name)), escape_html(_clean(item.value))
        if item.value_type == "CONTAINER":
            heading = f"h{min(level, 6)}"
            yield f"<section>\n<{heading}>{name or 'Section'}</{heading}>"
            yield from _html_items(item.items, level + 1)
            yield "</section>"
            continue
        kind = escape_html(item.relationship.lower())
        yield f"<dl>\n<dt>{name or kind}</dt>\n<dd>{value}"
        if item.items:
            yield from _html_items(item.items, level + 1)
        yield "</dd>\n</dl>"


def _clean(value: str) -> str:
    """Return text without controls, which HTML does not allow, but for ends of lines."""
    lines = value.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n").split("\n")
    return "\n".join(escape(line) for line in lines)
