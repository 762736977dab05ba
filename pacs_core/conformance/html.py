"""Writes a document as one HTML page that needs nothing else."""

from collections.abc import Iterable
from html import escape

from pacs_core.conformance.document import DocumentTable, StatementSection

_HEAD = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em }}
table {{ border-collapse: collapse; margin: 1em 0 }}
td, th {{ border: 1px solid #999; padding: .2em .6em; text-align: left; vertical-align: top }}
th {{ background: #eee }}
td {{ overflow-wrap: anywhere }}
</style>
</head>
<body>
"""


def to_html(sections: Iterable[StatementSection]) -> str:
    """Return the document as HTML, with a table of contents after its title."""
    sections = list(sections)
    title, *rest = sections
    head = _HEAD.format(title=escape(title.heading))
    links = (
        f'<li style="margin-left: {section.depth - 1}em">'
        f'<a href="#{_anchor(section)}">{escape(section.heading)}</a></li>\n'
        for section in rest
    )
    parts = [
        head,
        _section(title),
        f'<nav><ul style="list-style: none">\n{"".join(links)}</ul></nav>\n',
        *map(_section, rest),
        "</body>\n</html>\n",
    ]
    return "".join(parts)


def _anchor(section: StatementSection) -> str:
    return f"s{section.number}"


def _section(section: StatementSection) -> str:
    level = min(section.depth + 1, 6)
    heading = f'<h{level} id="{_anchor(section)}">{escape(section.heading)}</h{level}>\n'
    return heading + "".join(map(_block, section.blocks))


def _block(block: str | DocumentTable) -> str:
    if isinstance(block, str):
        return f"<p>{escape(block)}</p>\n"
    rows = [_row("th", block.header), *(_row("td", row) for row in block.rows)]
    return f"<table>\n{''.join(rows)}</table>\n"


def _row(tag: str, cells: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>\n"
