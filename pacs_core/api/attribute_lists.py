"""Attribute lists of DIMSE-N services: read, judged and kept (PS3.7 §10.1; PS3.4 F, CC)."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import anyio

from pacs_core.contracts import Operation
from pacs_core.dataset import (
    Attributes,
    MalformedDataset,
    MutableAttributes,
    Value,
    keyword_of,
    parse_attributes,
    texts,
    vr_of,
)
from pacs_core.dimse import CommandField, DimseError, Status, is_valid_uid

__all__ = [
    "MOST_ITEMS",
    "by_keyword",
    "count_items",
    "first",
    "from_json",
    "has_value",
    "is_sound",
    "keep_known",
    "lines",
    "mistyped",
    "read_attribute_list",
    "to_json",
]

MOST_ITEMS: Final = 50_000
"""Items of all sequences of an attribute list, at all depths."""

_MOST_NESTED: Final = 16
_NOT_OF_DATASETS: Final = frozenset({0x0000, 0x0002})
_AT_ONCE: Final = 64 << 10
"""Bytes that are parsed without a thread."""

_UNKEPT: Final = frozenset({"UN", "OB", "OW", "OF", "OD", "OL", "OV"})
_FORMS: Final = {
    "DA": re.compile(r"\d{8}|\d{4}\.\d\d\.\d\d", re.ASCII),
    "TM": re.compile(r"\d\d(:?\d\d(:?\d\d(\.\d{1,6})?)?)?", re.ASCII),
    "DT": re.compile(r"\d{4}(\d\d(\d\d(\d\d(\d\d(\d\d(\.\d{1,6})?)?)?)?)?)?([+-]\d{4})?", re.ASCII),
}


async def read_attribute_list(
    operation: Operation, limit: int, character_set: tuple[str, ...] = ()
) -> MutableAttributes:
    """Return the attribute list, or action information, of a request.

    Parameters
    ----------
    operation : Operation
    limit : int
        Bytes that it may have, as sent and inflated.
    character_set : tuple of str
        Assumed where the list names none, or lies.

    Returns
    -------
    dict
        As :func:`keep_known` leaves it.

    Raises
    ------
    DimseError
        0213H: it is too long, or has more than :data:`MOST_ITEMS`. 0110H, of N-ACTION 0115H: it is
        no dataset (PS3.7 §10.1.3 and §10.1.5 leave 0106H for a value of a certain attribute).
    """

    def parse() -> MutableAttributes:
        parsed = parse_attributes(
            data,
            operation.context.transfer_syntax,
            max_depth=_MOST_NESTED,
            max_length=limit,
            default_character_set=character_set,
            name_bulk=True,
        )
        if count_items(parsed) > MOST_ITEMS:
            raise DimseError(Status.RESOURCE_LIMITATION, f"more than {MOST_ITEMS} items")
        if any(tag >> 16 in _NOT_OF_DATASETS for tag in parsed):
            raise MalformedDataset("it has elements of a command or of a file", 0)
        return keep_known(parsed)

    try:
        data = await operation.dataset.read(limit)
    except DimseError as error:
        if error.status != Status.OUT_OF_RESOURCES:
            raise
        raise DimseError(Status.RESOURCE_LIMITATION, error.comment) from error
    try:
        return await anyio.to_thread.run_sync(parse) if len(data) > _AT_ONCE else parse()
    except MalformedDataset as error:
        is_action = operation.command.field is CommandField.N_ACTION_RQ
        status = Status.INVALID_ARGUMENT_VALUE if is_action else Status.PROCESSING_FAILURE
        what = "Action Information" if is_action else "Attribute List"
        raise DimseError(status, f"{what}: {error}") from error


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


def has_value(values: Sequence[object]) -> bool:
    """Tell whether an attribute has a value: some text, or an item."""
    return any(value.strip() if isinstance(value, str) else True for value in values)


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


def by_keyword(attributes: Attributes) -> dict[str, object]:
    """Return attributes for people, by their keywords, in the order of their tags."""
    return {
        keyword_of(tag) or f"{tag:08X}": [
            value if isinstance(value, str) else by_keyword(value) for value in values
        ]
        for tag, values in sorted(attributes.items())
    }


def lines(attributes: Attributes, depth: int = 0) -> Iterator[tuple[int, str, str]]:
    """Iterate over depth, name and value of attributes, those of items below their sequence."""
    for tag, values in sorted(attributes.items()):
        name = keyword_of(tag) or f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
        yield depth, name, "\\".join(value for value in values if isinstance(value, str))
        for number, item in enumerate(values, 1):
            if not isinstance(item, str):
                yield depth + 1, str(number), ""
                yield from lines(item, depth + 2)


def to_json(attributes: Attributes) -> str:
    """Return attributes as text, for tables."""
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
