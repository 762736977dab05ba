"""Measurements of SR documents as rows: TID 1500, TID 300 and whatever else has NUM (PS3.16)."""

import re
from collections.abc import Iterator
from typing import Final

from pacs_core.api.sr import Code, ContentItem, items_of, text_of

COLUMNS: Final = (
    "path", "group", "tracking_id", "tracking_uid", "finding", "finding_site", "name", "code",
    "scheme", "value", "unit", "unit_code", "qualifier", "modifiers", "instances",
)  # fmt: skip
"""Of a table of measurements."""

_TRACKED: Final = {
    ("112039", "DCM"): "tracking_id",
    ("112040", "DCM"): "tracking_uid",
    ("121071", "DCM"): "finding",
    ("363698007", "SCT"): "finding_site",
    ("G-C0E3", "SRT"): "finding_site",
}
"""Concepts that tell of what a group of measurements is (PS3.16 TID 1501, TID 1410, TID 1411)."""

_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def measurements_of(root: ContentItem) -> Iterator[dict[str, str]]:
    """Iterate over the measurements of a document, with what the groups they are in say of them."""
    yield from _measurements(root, {})


def _measurements(item: ContentItem, context: dict[str, str]) -> Iterator[dict[str, str]]:
    if item.value_type == "CONTAINER":
        context = {**context, "group": str(item.name), **_context_of(item)}
    if item.value_type == "NUM":
        yield {**dict.fromkeys(COLUMNS, ""), **context, **_context_of(item), **_row(item)}
    for below in item.items:
        yield from _measurements(below, context)


def _context_of(item: ContentItem) -> dict[str, str]:
    """Return what the items of a group, or of a measurement, say of it."""
    found: dict[str, str] = {}
    for each in item.items:
        column = _TRACKED.get((each.name.value, each.name.scheme))
        if column and each.value:
            found.setdefault(column, each.value)
    return found


def _row(item: ContentItem) -> dict[str, str]:
    measured = items_of(item.elements, "MeasuredValueSequence")[:1]
    modifiers = (
        f"{each.name}={each.value}"
        for each in item.items
        if each.relationship == "HAS CONCEPT MOD" and each.value
    )
    return {
        "name": str(item.name),
        "code": item.name.value,
        "scheme": item.name.scheme,
        "value": text_of(measured[0], "NumericValue") if measured else "",
        "unit": item.code.meaning,
        "unit_code": item.code.value,
        "qualifier": str(item.qualifier) if item.qualifier != Code() else "",
        "modifiers": "; ".join(modifiers),
        "instances": " ".join(dict.fromkeys(_instances(item))),
    }


def _instances(item: ContentItem) -> Iterator[str]:
    """Iterate over the UIDs of what a measurement was taken from."""
    for each in item.walk():
        yield from filter(None, (reference.sop_instance_uid for reference in each.references))


def harmless(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula; numbers stay as they are."""
    if cell[:1] in {"=", "+", "-", "@", "\t", "\r"} and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell
