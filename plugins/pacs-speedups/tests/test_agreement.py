"""The scan in C and the scan in Python: the same of any bytes, however they come."""

import zlib

import pytest
from hypothesis import example, given, strategies as st

from pacs_core.dataset import DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN
from pacs_core.testing.header_scans import has_header_walk, outcome_of_scan, scan_in_python

from .odd_datasets import (
    ENCODINGS,
    EXAMPLES,
    GENERATED,
    THOROUGHLY,
    UNDEFINED,
    WANTED,
    datasets,
    elements,
    head,
    mutations,
)

pytestmark = pytest.mark.skipif(
    not has_header_walk(), reason="pacs-speedups was built without a compiler, or is off"
)


def agree(data, uid, *, sizes=(0,), wanted=WANTED, **options):
    for size in sizes:
        size = size or max(len(data), 1)
        chunks = [memoryview(data)[at : at + size] for at in range(0, len(data), size)]
        in_c = outcome_of_scan(chunks, uid, wanted, **options)
        with scan_in_python():
            assert outcome_of_scan(chunks, uid, wanted, **options) == in_c


@pytest.mark.parametrize(
    ("data", "uid"), [pytest.param(data, uid, id=name) for name, data, uid in datasets()]
)
def test_they_agree_on_real_files(data, uid):
    for thorough in (True, False):
        for limits in ({}, {"max_header": 700}, {"max_value": 20}):
            agree(data, uid, sizes=(0, 4096, 61), thorough=thorough, **limits)


OPTIONS = st.fixed_dictionaries(
    {"thorough": st.booleans()},
    optional={
        "max_header": st.integers(0, 3000),
        "max_value": st.integers(0, 300),
        "default_character_set": st.sampled_from([("ISO_IR 144",), ("ISO 2022 IR 87",)]),
    },
)
SIZES = st.tuples(st.just(0), st.integers(1, 3000))


@THOROUGHLY(max_examples=EXAMPLES)
@given(mutations(), SIZES, OPTIONS)
def test_they_agree_on_real_files_with_faults(dataset, sizes, options):
    data, uid = dataset
    agree(data, uid, sizes=sizes, **options)


@THOROUGHLY(max_examples=EXAMPLES)
@given(GENERATED, SIZES, OPTIONS)
@example((b"\x08\0\x18\0UI\0\0", EXPLICIT_VR_LITTLE_ENDIAN), (0, 1), {"thorough": True})
def test_they_agree_on_what_is_made_up(dataset, sizes, options):
    data, uid = dataset
    agree(data, uid, sizes=sizes, **options)


@THOROUGHLY(max_examples=EXAMPLES // 4)
@given(st.binary(max_size=200), st.sampled_from(sorted(ENCODINGS)), SIZES, OPTIONS)
def test_they_agree_on_noise(data, uid, sizes, options):
    agree(data, uid, sizes=sizes, **options)


@THOROUGHLY(max_examples=EXAMPLES // 8)
@given(elements("<", True), SIZES, OPTIONS)
def test_they_agree_on_deflated_datasets(data, sizes, options):
    deflated = zlib.compressobj(wbits=-15)
    data = deflated.compress(data) + deflated.flush()
    agree(data, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, sizes=sizes, **options)


@pytest.mark.parametrize("depth", [10, 31, 32, 33, 500, 1024, 1025])
@pytest.mark.parametrize("undefined", [True, False])
def test_they_agree_on_what_nests_deeply(depth, undefined):
    value = b""
    for _ in range(depth):
        length = UNDEFINED if undefined else len(value)
        value = head(0xFFFE_E000, b"", length, "<", True) + value
        value += head(0xFFFE_E00D, b"", 0, "<", True) * undefined
        length = UNDEFINED if undefined else len(value)
        value = head(0x0008_1140, b"SQ", length, "<", True) + value
        value += head(0xFFFE_E0DD, b"", 0, "<", True) * undefined
    agree(value, EXPLICIT_VR_LITTLE_ENDIAN, sizes=(0, 100), thorough=True)


@pytest.mark.parametrize("group", [0xFFFF, 0xFFFE, 0x0002])
@pytest.mark.parametrize("length", ["defined", "undefined"])
def test_they_agree_on_what_is_in_no_item(group, length):
    """Above the group of items there is nothing (PS3.5 §7.1): it is refused wherever it stands."""
    inner = head(group << 16, b"SQ", UNDEFINED, "<", True) + head(0xFFFE_E0DD, b"", 0, "<", True)
    value = head(0xFFFE_E000, b"", len(inner), "<", True) + inner
    if length == "undefined":
        value += head(0xFFFE_E0DD, b"", 0, "<", True)
    size = UNDEFINED if length == "undefined" else len(value)
    for tag in (0x0008_0018, 0x0008_1140):
        data = head(tag, b"SQ", size, "<", True) + value
        agree(data, EXPLICIT_VR_LITTLE_ENDIAN, sizes=(0, 1), thorough=False)
