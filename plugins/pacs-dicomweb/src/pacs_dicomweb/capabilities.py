"""The Retrieve Capabilities transaction (PS3.18 §8.9): what there is, as WADL."""

from collections.abc import Iterable, Mapping
from typing import Final

from pacs_web.api.media_types import Representation

WADL: Final = Representation("application/vnd.sun.wadl+xml")
XML: Final = Representation("application/xml")
OFFERED: Final = (WADL, XML)

_SEARCH: Final = (
    "fuzzymatching",
    "emptyvaluematching",
    "multiplevaluematching",
    "includefield",
    "limit",
    "offset",
    "orderby",
    "{attribute}",
)
_RENDERED: Final = ("window", "viewport", "quality", "iccprofile", "annotation")
_URI: Final = (
    "requestType",
    "studyUID",
    "seriesUID",
    "objectUID",
    "contentType",
    "frameNumber",
    "rows",
    "columns",
    "region",
    "windowCenter",
    "windowWidth",
    "imageQuality",
    "annotation",
    "transferSyntax",
    "anonymize",
)
PARAMETERS: Final[Mapping[str, tuple[str, ...]]] = {
    "search": _SEARCH,
    "rendered": _RENDERED,
    "thumbnail": _RENDERED[:4],
    "wado": _URI,
}


def describe(table: Mapping[str, Iterable[str]], kinds: Mapping[str, str], base: str) -> str:
    """Return a description of resources.

    Parameters
    ----------
    table : mapping of str to iterable of str
        Methods by path.
    kinds : mapping of str to str
        What GET of a path does, by path: `search`, `rendered`, `thumbnail`, `wado`, or else.
    base : str
        URL of the service.
    """
    # It imports what opens URLs, which nobody else here needs.
    from xml.sax.saxutils import escape, quoteattr

    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<application xmlns="http://wadl.dev.java.net/2009/02">',
        f"<resources base={quoteattr(base + '/')}>",
    ]
    for path, methods in table.items():
        lines.append(f"<resource path={quoteattr(path.lstrip('/').replace(':path', ''))}>")
        for method in methods:
            names = PARAMETERS.get(kinds.get(path, ""), ()) if method == "GET" else ()
            accept = ("accept",) if method == "GET" else ()
            given = "".join(
                f'<param name={quoteattr(name)} style="query"/>' for name in (*accept, *names)
            )
            kind = escape(kinds.get(path, "") if method == "GET" else method.lower())
            request = f"<request>{given}</request>" if given else ""
            name = quoteattr(f"{kind} {path}")
            lines.append(f'<method name="{method}" id={name}>{request}</method>')
        lines.append("</resource>")
    lines += ["</resources>", "</application>"]
    return "\n".join(lines)
