"""Precedence of instances that differ in what they say of their study or series."""

import json
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from pacs_core.dataset import Attributes, MutableAttributes, tag_of, texts
from pacs_core.query.model import Level
from pacs_core.query.temporal import comparables

CONSIDERED: Final = 16
"""So many different headers, the first by precedence, are looked at for a value."""

_MOMENTS: Final = {
    Level.STUDY: (("DA", tag_of("StudyDate")), ("TM", tag_of("StudyTime"))),
    Level.SERIES: (("DA", tag_of("SeriesDate")), ("TM", tag_of("SeriesTime"))),
}
_LAST: Final = "~"  # behind all digits


def precedence(level: Level, attributes: Attributes) -> str:
    """Return text by which the headers of a study, or of a series, are ordered; first is first.

    The earliest Study (or Series) Date and Time comes first, for that is when it began (PS3.3
    C.7.2.1, C.7.3.1); then the header with most attributes; then an order of their values that
    means nothing, but is always the same. Thus a study with one name and birth date in some
    instances, and others in the rest, never gets the name of these and the birth date of those.

    Parameters
    ----------
    level : Level
        ``STUDY``, with the attributes of the patient, or ``SERIES``.
    attributes : Attributes
        What the instance has for the attributes that the index keeps at this level.
    """
    given = {f"{tag:08X}": v for tag, v in attributes.items() if any(v)}
    moment = (_moment(vr, tag, attributes) for vr, tag in _MOMENTS[level])
    content = json.dumps(given, sort_keys=True).encode(errors="surrogatepass")
    digest = blake2b(content, digest_size=12).hexdigest()
    return f"{'|'.join(moment)}|{999 - len(given):03d}|{digest}"


def _moment(vr: str, tag: int, attributes: Attributes) -> str:
    found = texts(attributes, tag)[:1]
    return next(iter(comparables(vr, found[0])), _LAST) if found else _LAST


def merge(level: Level, headers: Iterable[Attributes]) -> Attributes:
    """Return what an entity has whose instances have these headers.

    Each attribute has the value of the first header by :func:`precedence` that has one.
    """
    ranked = {precedence(level, header): header for header in headers}
    merged: MutableAttributes = {}
    for rank in sorted(ranked)[:CONSIDERED]:
        for tag, values in ranked[rank].items():
            if any(values):
                merged.setdefault(tag, values)
    return merged
