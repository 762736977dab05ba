"""Correlation of a request, as its client says by ``X-Request-ID`` and W3C Trace Context."""

import re
from collections.abc import Iterable
from typing import Final

from pacs_core.contracts import Correlation, new_correlation

REQUEST_ID: Final = b"x-request-id"
_TRACE_PARENT: Final = b"traceparent"

_SANE: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:+/=@~-]{0,127}")
_PARENT: Final = re.compile(
    rb"(?!ff)([0-9a-f]{2})(-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2})(-.*)?"
)
"""Version, trace-id, parent-id, flags; later versions may have more (Trace Context §3.2)."""


def correlation_of(headers: Iterable[tuple[bytes, bytes]]) -> Correlation:
    """Return the correlation of a request, with the ID that it has if there is a sane one.

    An ID becomes part of the log: it is short, has neither spaces nor quotes, and is given once.
    Any other is ignored, and so is a malformed ``traceparent``, as Trace Context §3.2 demands.

    Parameters
    ----------
    headers : iterable of tuple of bytes
        With names in lower case.
    """
    found: dict[bytes, bytes | None] = {}
    for name, value in headers:
        if name in (REQUEST_ID, _TRACE_PARENT):
            found[name] = None if name in found else value
    parent = _parent(found.get(_TRACE_PARENT) or b"")
    given = found.get(REQUEST_ID) or b""
    if _SANE.fullmatch(given):
        return Correlation(given.decode(), parent)
    return new_correlation(parent)


def _parent(given: bytes) -> str:
    match = _PARENT.fullmatch(given)
    if match is None or (match[1] == b"00" and match[3]):
        return ""
    return f"00{match[2].decode()}"  # what a later version has besides is not known here
