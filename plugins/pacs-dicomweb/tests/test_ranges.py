"""Ranges and entity tags (RFC 9110 §8.8, §14)."""

import pytest
from hypothesis import given, strategies as st
from pacs_dicomweb.instances import entity_tag, matches_tag
from pacs_dicomweb.ranges import ByteRange, UnsatisfiableRangeError, read_range

from pacs_core.contracts import InstanceIdentity, StoredInstance


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", None),
        ("bytes=0-9", ByteRange(0, 10)),
        ("bytes=90-", ByteRange(90, 100)),
        ("bytes=90-1000", ByteRange(90, 100)),
        ("bytes=-10", ByteRange(90, 100)),
        ("bytes=-1000", ByteRange(0, 100)),
        ("bytes = 1-1", ByteRange(1, 2)),
        ("bytes=0-1,3-4", None),
        ("bytes=5-4", None),
        ("lines=0-1", None),
        ("bytes=--1", None),
        ("garbage", None),
    ],
)
def test_ranges(header, expected):
    assert read_range(header, 100) == expected


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=999999999999999999-"])
def test_behind_the_end(header):
    with pytest.raises(UnsatisfiableRangeError):
        read_range(header, 100)


@given(st.text("bytes=-, 0123456789", max_size=30), st.integers(0, 1000))
def test_a_range_is_within(header, length):
    try:
        found = read_range(header, length)
    except UnsatisfiableRangeError:
        return
    assert found is None or 0 <= found.start < found.end <= length


def instance(digest: bytes, uid: str = "1.2") -> StoredInstance:
    return StoredInstance(InstanceIdentity("1", "1.1", uid, "1.3"), "1.2", "k", 10, 0, digest)


def test_entity_tags():
    tag = entity_tag([instance(b"a")])
    assert tag == entity_tag([instance(b"a")])
    others = [entity_tag([instance(b"b")]), entity_tag([instance(b"a", "1.4")])]
    assert len({tag, *others, entity_tag([instance(b"a")], "png")}) == 4
    assert entity_tag([instance(b"")]) == ""


@pytest.mark.parametrize(
    ("header", "is_named"),
    [('"a"', True), ('W/"a"', True), ('"b", "a"', True), ("*", True), ('"b"', False), ("", False)],
)
def test_matching_of_tags(header, is_named):
    assert matches_tag(header, '"a"') is is_named
    assert not matches_tag(header, "")
