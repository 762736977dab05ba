"""Summary of a message in the spool, for people; the message may be of either form."""

import base64
import json
import re
from typing import Final, NamedTuple

_TIME: Final = re.compile(rb'EventDateTime="([^"]+)"')
_EVENT: Final = re.compile(rb'<EventID [^>]*?originalText="([^"]+)"')
_KIND: Final = re.compile(rb'<ParticipantObjectDetail type="kind" value="([^"]+)"')


class Summary(NamedTuple):
    """What a message is about.

    Attributes
    ----------
    time : str
        When it happened.
    event : str
        Of PS3.15 A.5.3.
    kind : str
        Of the node.
    """

    time: str
    event: str
    kind: str


def summarize(body: bytes) -> Summary:
    """Return what a message says of itself; ``?`` for what it does not."""
    return _of_fhir(body) if body.startswith(b"{") else _of_xml(body)


def _of_xml(body: bytes) -> Summary:
    time, event, kind = (
        match[1] if (match := pattern.search(body)) else b"?" for pattern in (_TIME, _EVENT, _KIND)
    )
    if kind != b"?":
        kind = base64.b64decode(kind)
    return Summary(*(each.decode("utf-8", "replace") for each in (time, event, kind)))


def _of_fhir(body: bytes) -> Summary:
    resource = json.loads(body)
    details = (d for entity in resource.get("entity", ()) for d in entity.get("detail", ()))
    kind = next((d["valueString"] for d in details if d["type"] == "kind"), "?")
    return Summary(
        resource.get("recorded", "?"), resource.get("type", {}).get("display", "?"), kind
    )
