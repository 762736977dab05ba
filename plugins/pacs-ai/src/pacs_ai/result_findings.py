"""Findings of a result, each of which can be assessed by itself: segments and measurement groups.

A segment is known by its number and its Tracking UID (PS3.3 C.8.20.4), a measurement group of a
report (PS3.16 TID 1500) by its Tracking Unique Identifier or its Observation UID (PS3.3 C.18.8).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from attrs import evolve

from pacs_ai.models import ResultFinding

if TYPE_CHECKING:
    from pydicom import Dataset

_GROUP: Final = ("125007", "DCM")
_TRACKING_ID: Final = ("112039", "DCM")
_TRACKING_UID: Final = ("112040", "DCM")
_FINDING: Final = ("121071", "DCM")
_MOST: Final = 1000
"""Findings, and levels of items below each other, that are looked through."""


def findings_of(result: "Dataset") -> list[ResultFinding]:
    """Return the findings of a result, in its order; none of what has none.

    A name that several have is nobody's: those are known by the other one, or not at all.
    """
    found = [*_segments(result), *_groups(result)][:_MOST]
    names = Counter(each.uid for each in found)
    found = [evolve(each, uid="") if names[each.uid] > 1 else each for each in found]
    return [each for each in found if each.key]


def find_finding(findings: Sequence[ResultFinding], key: str) -> ResultFinding:
    """Return the one that a UID, or the number of a segment, names. LookupError."""
    for each in findings:
        if key and key in {each.key, str(each.number or "")}:
            return each
    known = ", ".join(each.key for each in findings) or "none"
    raise LookupError(f"there is no finding {key!r:.70}; there are {known:.400}")


def _segments(result: "Dataset") -> Iterator[ResultFinding]:
    for item in result.get("SegmentSequence") or []:
        number = int(item.get("SegmentNumber") or 0)
        label = str(item.get("SegmentLabel") or item.get("TrackingID") or "")
        if number > 0:
            yield ResultFinding(str(item.get("TrackingUID") or ""), number, label)


def _groups(result: "Dataset") -> Iterator[ResultFinding]:
    open_items = [(item, 0) for item in reversed(result.get("ContentSequence") or [])]
    while open_items:
        item, depth = open_items.pop()
        if _name(item) == _GROUP:
            yield _group(item)
        elif depth < _MOST:
            inner = item.get("ContentSequence") or []
            open_items += [(each, depth + 1) for each in reversed(inner)]


def _group(item: "Dataset") -> ResultFinding:
    tracking = label = finding = ""
    for each in item.get("ContentSequence") or []:
        name = _name(each)
        if name == _TRACKING_UID:
            tracking = str(each.get("UID") or "")
        elif name == _TRACKING_ID:
            label = str(each.get("TextValue") or "")
        elif name == _FINDING and (codes := each.get("ConceptCodeSequence")):
            finding = str(codes[0].get("CodeMeaning") or "")
    uid = tracking or str(item.get("ObservationUID") or "")
    return ResultFinding(uid, 0, ": ".join(filter(None, (label, finding))), not tracking)


def _name(item: "Dataset") -> tuple[str, str]:
    codes = item.get("ConceptNameCodeSequence")
    if not codes:
        return "", ""
    return str(codes[0].get("CodeValue") or ""), str(codes[0].get("CodingSchemeDesignator") or "")
