"""Sequences in a column: JSON text, and matching against the items in it (PS3.4 C.2.2.2.6)."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from pacs_core.contracts import TIMEZONE_OFFSET, Condition, item_matches, timezone_of
from pacs_core.dataset import Attributes

MAX_DEPTH = 8
"""Sequences nested more deeply are left out; no key of PS3.4 comes near."""


def to_json(values: Sequence[str | Attributes]) -> str:
    """Return the items of a sequence as JSON text: a list of objects keyed by tag."""
    return json.dumps(_plain(values, 0), ensure_ascii=False, separators=(",", ":"))


def _plain(values: Sequence[str | Attributes], depth: int) -> list[Any]:
    if depth >= MAX_DEPTH:
        return []
    return [
        v
        if isinstance(v, str)
        else {f"{tag:08X}": _plain(values, depth + 1) for tag, values in v.items()}
        for v in values
    ]


def from_json(text: str) -> tuple[Attributes, ...]:
    """Return the items that :func:`to_json` wrote."""
    return tuple(_item(item) for item in json.loads(text))


def _item(item: dict[str, list[Any]]) -> Attributes:
    return {
        int(tag, 16): tuple(v if isinstance(v, str) else _item(v) for v in values)
        for tag, values in item.items()
    }


def sequence_matcher(conditions: Sequence[Condition]) -> Callable[[str], bool]:
    """Return a test whether some item in JSON text meets all `conditions`.

    In a line before it comes the Timezone Offset From UTC of what the sequence is in. That may be
    anything; but JSON text has no line feeds.
    """

    def meets(text: str) -> bool:
        zone, _, found = text.rpartition("\n")
        offset = timezone_of({TIMEZONE_OFFSET: (zone,)})
        return any(item_matches(conditions, item, offset) for item in from_json(found))

    return meets
