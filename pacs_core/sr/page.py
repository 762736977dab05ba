"""SR documents as pages.

Nothing of a document becomes markup: all of it is text, and is escaped. Links lead to other items
of the page, and to where who writes the page says that an object is. The page has no script and
loads nothing, and `POLICY` would let none do so.
"""

import hashlib
import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from html import escape
from typing import Final

from attrs import frozen

from pacs_core.sr.content import ContentItem, Reference
from pacs_core.sr.document import SRDocument
from pacs_core.sr.tables import Table, read_table
from pacs_core.sr.values import VALUE_TYPES

_STYLE: Final = (
    ":root{color-scheme:light dark;--ground:#fff;--text:#14222a;--quiet:#51646d;--line:#d7dfe2;"
    "--accent:#0b5f6f}"
    "@media(prefers-color-scheme:dark){:root{--ground:#172025;--text:#e6edf0;--quiet:#9db0b8;"
    "--line:#2b383f;--accent:#6fc6d6}}"
    "*{box-sizing:border-box}"
    "body{margin:0;background:var(--ground);color:var(--text);font:15px/1.55 system-ui,sans-serif}"
    "main{max-width:50rem;margin:0 auto;padding:2rem 2rem 4rem;overflow-wrap:anywhere}"
    "h1{font-size:1.5rem;line-height:1.25;margin:0 0 1rem}"
    "h2{font-size:1.15rem;margin:1.8rem 0 .5rem;padding-top:.8rem;border-top:1px solid var(--line)}"
    ".facts+section>h2:first-child{margin-top:0;padding-top:0;border-top:0}"
    "section+.item{margin-top:1.2rem;padding-top:.8rem;border-top:1px solid var(--line)}"
    "h3{font-size:1rem;margin:1.2rem 0 .3rem}"
    "h4,h5,h6{font-size:.95rem;margin:1rem 0 .2rem;color:var(--quiet)}"
    "a{color:var(--accent)}p{margin:.25rem 0}"
    ".facts{display:flex;flex-wrap:wrap;gap:.5rem 2rem;margin:0 0 1.5rem;padding-bottom:1rem;"
    "border-bottom:1px solid var(--line)}"
    ".facts dt{font-size:.8rem;color:var(--quiet)}.facts dd{margin:0}"
    '.name{color:var(--quiet)}.name::after{content:":"}'
    ".value{white-space:pre-line}"
    ".num>p>.value{font-variant-numeric:tabular-nums;font-weight:600}"
    ".within{margin-left:.3rem;padding-left:1rem;border-left:2px solid var(--line)}"
    ".uid,.note{color:var(--quiet)}.uid{font-size:.8rem}.note{font-style:italic}"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;margin:.4rem 0}"
    "th,td{border:1px solid var(--line);padding:.2rem .5rem;text-align:left;vertical-align:top}"
)
_DIGEST: Final = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'"
)
"""Content-Security-Policy of a page; who serves it adds who may frame it."""

TOO_MUCH: Final = "The report goes on, but is too large to be shown."
_WITHIN: Final = 12
"""Levels that are indented; what is deeper would be a column of letters."""

_CONTROLS: Final = re.compile("[\0-\x08\x0b\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""What HTML does not allow, or no one sees."""


@frozen
class PageOptions:
    """How a page is written.

    Attributes
    ----------
    language : str
        Tag of the language of what is not from the document; empty for none.
    translate : callable
        Returns an English text of the page in that language.
    link : callable
        Returns the address of what is referred to; empty for no link.
    target : str
        Where links to these open, such as ``_top``.
    """

    language: str = ""
    translate: Callable[[str], str] = str
    link: Callable[[Reference], str] = lambda _: ""
    target: str = ""


def clean_text(text: str) -> str:
    """Return text whose lines end in LF only, and without controls, which are named instead."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n")
    return _CONTROLS.sub(lambda found: found.group().encode("unicode_escape").decode(), lines)


def page_lines(document: SRDocument, options: PageOptions | None = None) -> Iterator[str]:
    """Iterate over the lines of the page of a document."""
    return _Page(document, options or PageOptions()).lines()


class _Page:
    def __init__(self, document: SRDocument, options: PageOptions) -> None:
        self._document = document
        self._options = options
        self._say = options.translate

    def lines(self) -> Iterator[str]:
        title = _escape(self._document.title or self._say("Report"))
        language = self._options.language
        tag = f' lang="{_escape(language)}"' if language else ""
        yield f'<!doctype html>\n<html{tag}>\n<head>\n<meta charset="utf-8">'
        yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
        yield f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        yield f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>"
        yield f'<body>\n<main>\n<h1 dir="auto">{title}</h1>'
        yield from self._facts()
        note = "" if self._document.is_whole else f'<p class="note">{self._say(TOO_MUCH)}</p>'
        if note:
            yield note
        for item in self._document.root.items:
            yield from self._item(item, 2, 0)
        yield f"{note}\n</main>\n</body>\n</html>"

    def _facts(self) -> Iterator[str]:
        states = ", ".join(map(self._say, self._document.states))
        yield '<dl class="facts">'
        for name, value in (("State", states), *self._document.facts):
            if value:
                name, value = _escape(self._say(name)), _escape(value)
                yield f'<div><dt>{name}</dt><dd dir="auto">{value}</dd></div>'
        yield "</dl>"

    def _item(self, item: ContentItem, level: int, depth: int) -> Iterator[str]:
        is_target = item.number in self._document.targets
        anchor = f' id="item-{item.number}"' if is_target else ""
        name = _escape(str(item.name))
        if item.value_type == "CONTAINER":
            yield f"<section{anchor}>"
            if name:
                yield f'<h{level} dir="auto">{name}</h{level}>'
                level = min(level + 1, 6)
            for each in item.items:
                yield from self._item(each, level, depth)
            yield "</section>"
            return
        kind = item.value_type.lower() if item.value_type in VALUE_TYPES else ""
        said = [f'<span class="name">{name}</span>'] if name else []
        said += self._value(item)
        yield f'<div class="{f"item {kind}".strip()}"{anchor}>\n<p dir="auto">{" ".join(said)}</p>'
        if item.value_type == "TABLE" and (table := read_table(item.elements)):
            yield from _rows(table)
        if item.items:
            if depth < _WITHIN:
                yield '<div class="within">'
            for each in item.items:
                yield from self._item(each, level, depth + 1)
            if depth < _WITHIN:
                yield "</div>"
        yield "</div>"

    def _value(self, item: ContentItem) -> Iterator[str]:
        """Iterate over what an item says, and leads to."""
        if item.target:
            there = self._document.targets.get(item.target)
            if there is None:
                yield f"→ {_escape(item.target)}"
            else:
                yield f'<a href="#item-{there.number}">→ {_escape(_shorten(str(there)))}</a>'
        elif item.references:
            yield from map(self._reference, item.references)
        elif item.value:
            yield f'<span class="value">{_escape(item.value)}</span>'

    def _reference(self, reference: Reference) -> str:
        parts = (f"{self._say(name)} {numbers}" for name, numbers in reference.named_parts)
        label = _escape(", ".join(filter(None, (reference.kind, *parts))))
        uid = _escape(reference.sop_instance_uid)
        if not (address := self._options.link(reference)):
            return f'<span class="value">{label}</span> <span class="uid">{uid}</span>'
        target = f' target="{self._options.target}"' if self._options.target else ""
        return f'<a href="{_escape(address)}" title="{uid}"{target}>{label or uid}</a>'


def _rows(table: Table) -> Iterator[str]:
    # A wide one is scrolled, also by key.
    yield '<div class="scroll" tabindex="0"><table>'
    has_headings = any(heading for heading, _ in table.rows)
    if any(table.columns):
        cells = (("",) if has_headings else ()) + table.columns
        yield f"<tr>{''.join(f'<th>{_escape(each)}</th>' for each in cells)}</tr>"
    for heading, values in table.rows:
        first = f"<th>{_escape(heading)}</th>" if has_headings else ""
        yield f"<tr>{first}{''.join(f'<td>{_escape(each)}</td>' for each in values)}</tr>"
    yield "</table></div>"


def _shorten(text: str, most: int = 80) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


def _escape(text: str) -> str:
    return escape(clean_text(text))
