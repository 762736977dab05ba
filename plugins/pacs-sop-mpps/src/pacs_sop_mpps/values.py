"""Attribute lists: what is kept of them, as text for the tables, and whether values are sound."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pacs_core.dataset import Attributes, MutableAttributes, Value, texts, vr_of
from pacs_core.dimse import is_valid_uid

MOST_ITEMS: Final = 50_000
"""Items of all sequences of an attribute list, at all depths."""

_UNKEPT: Final = frozenset({"UN", "OB", "OW", "OF", "OD", "OL", "OV"})
_FORMS: Final = {
    "DA": re.compile(r"\d{8}|\d{4}\.\d\d\.\d\d"),
    "TM": re.compile(r"\d\d(:?\d\d(:?\d\d(\.\d{1,6})?)?)?"),
}


def keep_known(attributes: Attributes) -> MutableAttributes:
    """Return attributes without group lengths, private and bulk data, at every depth."""
    return {
        tag: tuple(v if isinstance(v, str) else keep_known(v) for v in values)
        for tag, values in attributes.items()
        if tag & 0xFFFF and not tag >> 16 & 1 and tag >> 16 > 2 and vr_of(tag) not in _UNKEPT
    }


def count_items(attributes: Attributes) -> int:
    """Return the number of items of all sequences, at all depths."""
    items = [v for values in attributes.values() for v in values if not isinstance(v, str)]
    return len(items) + sum(map(count_items, items))


def first(attributes: Attributes, tag: int) -> str:
    """Return the first value of an attribute that has some text, or nothing."""
    return next((text.strip() for text in texts(attributes, tag) if text.strip()), "")


def column(text: str) -> str:
    """Return text as every database takes it: without NUL and lone surrogates."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def is_sound(vr: str, value: Value) -> bool:
    """Tell whether a value is one of its value representation (PS3.5 §6.2), as far as it matters.

    Dates and times of the form that ACR-NEMA had are (PS3.5 Table 6.2-1, notes).
    """
    if not isinstance(value, str):
        return vr == "SQ"
    text = value.strip()
    if vr == "UI":
        return not text or is_valid_uid(text)
    form = _FORMS.get(vr)
    return vr != "SQ" and (form is None or not text or form.fullmatch(text) is not None)


def mistyped(attributes: Attributes) -> Iterator[int]:
    """Iterate over the tags of sequences that have text, and of others that have items."""
    for tag, values in attributes.items():
        is_sequence = vr_of(tag) == "SQ"
        for value in values:
            if isinstance(value, str) is is_sequence:
                yield tag
            elif not isinstance(value, str):
                yield from mistyped(value)


def to_json(attributes: Attributes) -> str:
    """Return attributes as text, for the tables."""
    return json.dumps(_plain(attributes), separators=(",", ":"))


def from_json(text: str) -> MutableAttributes:
    """Return what :func:`to_json` was given."""
    return _attributes(json.loads(text))


def _plain(attributes: Attributes) -> dict[str, Any]:
    return {
        f"{tag:08X}": [v if isinstance(v, str) else _plain(v) for v in values]
        for tag, values in sorted(attributes.items())
    }


def _attributes(plain: Mapping[str, Any]) -> MutableAttributes:
    return {
        int(tag, 16): tuple(v if isinstance(v, str) else _attributes(v) for v in values)
        for tag, values in plain.items()
    }
