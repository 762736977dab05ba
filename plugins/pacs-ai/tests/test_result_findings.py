"""Findings of results: found in whatever a service sends, and known by one name each."""

import pytest
from hypothesis import given, settings, strategies as st
from pacs_ai.assessing import is_withheld
from pacs_ai.models import Assessment, ResultFinding
from pacs_ai.result_findings import find_finding, findings_of
from pydicom import Dataset


def segment(number: int, uid: str) -> Dataset:
    item = Dataset()
    item.SegmentNumber, item.SegmentLabel = number, f"segment {number}"
    if uid:
        item.TrackingUID = uid
    return item


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(["", "1.2.3", "1.2.4", "1.2.5"]), max_size=6))
def test_each_segment_has_a_key_of_its_own(uids: list[str]) -> None:
    """PS3.3 C.8.20.4: a Tracking UID that several have names none of them."""
    result = Dataset()
    result.SegmentSequence = [segment(number, uid) for number, uid in enumerate(uids, 1)]
    found = findings_of(result)
    assert len({each.key for each in found}) == len(found) == len(uids)
    for number, each in enumerate(found, 1):
        assert find_finding(found, each.key) == find_finding(found, str(number)) == each
    with pytest.raises(LookupError, match="there is no finding '9'"):
        find_finding(found, "9")


def test_what_is_deep_or_lacks_everything_has_no_findings() -> None:
    result = inner = Dataset()
    for _ in range(3000):
        inner.ContentSequence = [Dataset()]
        inner = inner.ContentSequence[0]
    result.SegmentSequence = [Dataset()]
    assert findings_of(result) == []


def test_the_whole_counts_and_else_all_of_the_findings() -> None:
    none, accepted, modified, rejected = Assessment

    def withheld(whole: Assessment, *findings: Assessment) -> bool:
        given = [ResultFinding(str(n), n, "", assessment=a) for n, a in enumerate(findings)]
        return is_withheld(whole, given)

    assert withheld(none)
    assert withheld(none, accepted, none)
    assert withheld(none, rejected, rejected)
    assert not withheld(none, rejected, modified)
    assert not withheld(accepted, rejected)
    assert withheld(rejected, accepted)
