"""HL7 CDA documents as pages.

Nothing of a document becomes markup but elements of a table (CDA Release 2, §4.3.5): whatever else
there is, its text is shown. Attributes are numbers and words that are known; addresses of links are
shown, and lead nowhere. The page has no script and loads nothing, and the policy that goes with it
would let none do so.
"""

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from html import escape
from typing import Final
from xml.etree.ElementTree import Element

from pacs_dicomweb.cda.document import ClinicalDocument, Section

_STYLE: Final = (
    ":root{color-scheme:light dark;--ground:#fff;--text:#14222a;--quiet:#51646d;--line:#d7dfe2}"
    "@media(prefers-color-scheme:dark){:root{--ground:#172025;--text:#e6edf0;--quiet:#9db0b8;"
    "--line:#2b383f}}"
    "*{box-sizing:border-box}"
    "body{margin:0;background:var(--ground);color:var(--text);font:15px/1.55 system-ui,sans-serif}"
    "main{max-width:50rem;margin:0 auto;padding:2rem 1.5rem 4rem;overflow-wrap:anywhere}"
    "h1{font-size:1.5rem;line-height:1.25;margin:0 0 .75rem}"
    "h2{font-size:1.15rem;margin:1.8rem 0 .5rem;padding-top:.8rem;border-top:1px solid var(--line)}"
    "h3,h4,h5,h6{font-size:1rem;margin:1.2rem 0 .3rem}"
    "p{margin:.35rem 0}header p,.quiet,caption{color:var(--quiet)}"
    ".scroll{overflow-x:auto}"
    "table{border-collapse:collapse;margin:.6rem 0}caption{text-align:left}"
    "th,td{border:1px solid var(--line);padding:.3rem .6rem;text-align:left;vertical-align:top}"
    "pre{white-space:pre-wrap;font:inherit}"
)
_DIGEST: Final = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox"
)
"""Content-Security-Policy of a page: viewers of this site show it in a frame."""

_TAGS: Final = {
    "paragraph": "p",
    "content": "span",
    "sub": "sub",
    "sup": "sup",
    "item": "li",
    "thead": "thead",
    "tbody": "tbody",
    "tfoot": "tfoot",
    "tr": "tr",
    "th": "th",
    "td": "td",
    "footnote": "small",
}
_STYLES: Final = {"bold": "strong", "italics": "em", "emphasis": "em", "underline": "u"}
_REVISED: Final = {"delete": "del", "insert": "ins"}
_ROWS: Final = frozenset({"table", "thead", "tbody", "tfoot", "tr", "list"})
"""Where text is none, only what sets tags apart."""


def write_page(document: ClinicalDocument) -> str:
    """Return the page of a document."""
    title = escape(document.title or "CDA")
    language = f' lang="{escape(document.language)}"' if document.language else ""
    lines = "".join(f"<p>{escape(line)}</p>" for line in document.lines)
    body = "".join(part for section in document.sections for part in _section(section, 2))
    if document.text:
        body += f"<pre>{escape(document.text)}</pre>"
    if document.other:
        body += f'<p class="quiet">{escape(document.other)}</p>'
    return (
        f'<!doctype html><html{language}><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head>"
        f"<body><main><header><h1>{title}</h1>{lines}</header>{body}</main></body></html>"
    )


def _section(section: Section, level: int) -> Iterator[str]:
    yield "<section>"
    if section.title:
        yield f"<h{level}>{escape(section.title)}</h{level}>"
    if section.narrative is not None:
        yield from _within(section.narrative)
    for each in section.sections:
        yield from _section(each, min(level + 1, 6))
    yield "</section>"


def _within(element: Element) -> Iterator[str]:
    """Iterate over what is within an element: its text, and its children with what follows them."""
    is_text = element.tag not in _ROWS
    if is_text:
        yield escape(element.text or "")
    for each in element:
        yield from _element(each, element.tag)
        if is_text:
            yield escape(each.tail or "")


def _element(element: Element, parent: str) -> Iterator[str]:
    if element.tag == "br":
        yield "<br>"
    elif element.tag == "table":
        # A wide one is scrolled, also by key.
        yield '<div class="scroll" tabindex="0"><table>'
        yield from _within(element)
        yield "</table></div>"
    elif element.tag == "list":
        tag = "ol" if element.get("listType") == "ordered" else "ul"
        yield f"<{tag}>"
        yield from _within(element)
        yield f"</{tag}>"
    elif element.tag == "caption":
        tag = "caption" if parent == "table" else "li" if parent == "list" else "strong"
        yield f"<{tag}>"
        yield from _within(element)
        yield f"</{tag}>"
    elif element.tag == "linkHtml":
        yield from _within(element)
        yield f' <span class="quiet">({escape(element.get("href", ""))})</span>'
    elif element.tag == "renderMultiMedia":
        yield f'<span class="quiet">[{escape(element.get("referencedObject", ""))}]</span>'
        yield from _within(element)
    elif element.tag in _TAGS:
        yield from _known(element)
    else:
        yield from _within(element)


def _known(element: Element) -> Iterator[str]:
    """Iterate over an element that has one of HTML, in the styles that it is to be read in."""
    styles = [
        _STYLES[each] for each in element.get("styleCode", "").lower().split() if each in _STYLES
    ]
    # What is struck out must not be read as if it were not.
    if revised := _REVISED.get(element.get("revised", "")):
        styles.append(revised)
    tag = _TAGS[element.tag]
    yield f"<{tag}{_spans(element)}>"
    yield from (f"<{each}>" for each in styles)
    yield from _within(element)
    yield from (f"</{each}>" for each in reversed(styles))
    yield f"</{tag}>"


def _spans(element: Element) -> str:
    """Return how many cells a cell takes, as attributes."""
    found = ""
    if element.tag in {"th", "td"}:
        for name in ("colspan", "rowspan"):
            number = element.get(name, "")
            if number.isascii() and number.isdigit() and len(number) < 4:
                found += f' {name}="{number}"'
    return found
