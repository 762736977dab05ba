"""Pages that stand by themselves: for who is not signed in yet, and about what went wrong.

They need no plugin with a user interface, have no scripts and load nothing, so that a strict
Content-Security-Policy holds; they follow the browser's light or dark scheme, and fit a telephone.
"""

import hashlib
from base64 import b64encode
from collections.abc import Collection, Mapping
from html import escape
from typing import Final

from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse

__all__ = ["choose_language", "plain_page", "wants_page"]

_STYLE: Final = (
    ":root{color-scheme:light dark;--ground:#f6f8f9;--surface:#fff;--line:#d7dfe2;--field:#7c8d95;"
    "--text:#14222a;--quiet:#51646d;--accent:#0b5f6f;--on-accent:#fff;--danger:#a3211b}"
    "@media(prefers-color-scheme:dark){:root{--ground:#0f1518;--surface:#172025;--line:#2b383f;"
    "--field:#6f838c;--text:#e6edf0;--quiet:#9db0b8;--accent:#6fc6d6;--on-accent:#06262d;"
    "--danger:#ff9a92}}"
    "*{box-sizing:border-box}"
    "body{margin:0;background:var(--ground);color:var(--text);font:1rem/1.5 system-ui,sans-serif}"
    "main{max-width:26rem;margin:max(1rem,10vh) auto 2rem;padding:0 1rem;overflow-wrap:anywhere}"
    ".card{background:var(--surface);border:1px solid var(--line);border-radius:10px;"
    "padding:1.5rem}"
    ".brand{display:flex;align-items:center;gap:.6rem;margin:0 0 1rem;font-weight:700;"
    "letter-spacing:.04em}"
    "svg{width:1.75rem;height:1.75rem}"
    "h1{font-size:1.4rem;line-height:1.25;margin:0 0 1rem}"
    "p{margin:0 0 1rem}a{color:var(--accent);text-underline-offset:.2em}"
    "label{display:block;margin:0 0 1rem;font-weight:500}"
    "input,textarea,button,.button{font:inherit;color:inherit;width:100%;border-radius:6px;"
    "min-height:2.75rem;padding:.5rem .75rem}"
    "input,textarea{display:block;margin-top:.25rem;background:var(--ground);"
    "border:1px solid var(--field)}"
    "button,.button{display:block;margin:.5rem 0 0;font-weight:600;text-align:center;"
    "text-decoration:none;cursor:pointer;background:var(--surface);color:var(--accent);"
    "border:1px solid var(--accent)}"
    ".primary{background:var(--accent);color:var(--on-accent)}"
    ".danger{background:var(--danger);border-color:var(--danger);color:var(--surface)}"
    ":focus-visible{outline:3px solid var(--accent);outline-offset:2px}"
    ".or{margin:1.25rem 0 .75rem;border-top:1px solid var(--line);padding-top:1rem}"
    "dl{margin:0 0 1rem}dt{font-size:.85rem;color:var(--quiet)}dd{margin:0 0 .6rem}"
    ".wrong::first-letter{text-transform:uppercase}"
    ".wrong{color:var(--danger);border-left:4px solid;padding-left:.7rem}"
    ".after{margin:1rem 0 0;color:var(--quiet);font-size:.9rem}"
)
_DIGEST: Final = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS: Final = {
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_DIGEST}'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "referrer-policy": "same-origin",
}
_MARK: Final = (
    '<svg viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="7" '
    'fill="#0b5f6f"/><g fill="none" stroke="#fff" stroke-width="2.4"><rect x="7" y="7" width="18" '
    'height="18" rx="3"/><circle cx="16" cy="16" r="4.5"/></g></svg>'
)
_CHOSEN: Final = "pacs_language"
"""The cookie in which the browser UI keeps the language that was chosen."""


def wants_page(request: HTTPConnection) -> bool:
    """Tell whether somebody is on the way to a page, rather than a program or a script of one."""
    accepted = request.headers.get("accept", "").split(",")
    is_html = any(each.partition(";")[0].strip() == "text/html" for each in accepted)
    return is_html and request.headers.get("sec-fetch-mode", "navigate") == "navigate"


def choose_language(request: HTTPConnection, languages: Collection[str]) -> str:
    """Return the language that was chosen, or else the first that the browser names; or English.

    Parameters
    ----------
    request : HTTPConnection
    languages : collection of str
        Those that there are, by tag.
    """
    accepted = request.headers.get("accept-language", "").lower().split(",")
    wished = [
        request.query_params.get("lang", ""),
        request.cookies.get(_CHOSEN, ""),
        *(each.partition(";")[0].strip().partition("-")[0] for each in accepted),
    ]
    return next((each for each in wished if each in languages), "en")


def plain_page(
    brand: str,
    heading: str,
    body: str,
    *,
    language: str = "en",
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """Return a page of its own.

    Parameters
    ----------
    brand : str
        Whose page it is: the node's AE title.
    heading : str
        What it is for.
    body : str
        HTML below the heading. Its classes may be ``primary``, ``danger`` and ``button`` for
        buttons, ``wrong`` for what went wrong, ``or`` for another way, ``after`` for the last line.
    language : str
        Tag of the language that it is in.
    status : int
    headers : mapping of str to str, optional
        More headers.
    """
    name, title = escape(brand), escape(heading)
    page = (
        f'<!doctype html><html lang="{escape(language)}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title} · {name}</title><style>{_STYLE}</style></head>"
        f'<body><main><p class="brand">{_MARK}{name}</p>'
        f'<div class="card"><h1>{title}</h1>{body}</div></main></body></html>'
    )
    return HTMLResponse(page, status, headers={**_HEADERS, **(headers or {})})
