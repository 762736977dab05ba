"""Elements read in C and in Python: the same of any bytes, whatever the limits."""

import pytest
from hypothesis import example, given, strategies as st

from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, ReadLimits
from pacs_core.testing.element_readings import (
    has_plain_elements,
    outcome_of_reading,
    read_in_python,
)

from .odd_datasets import (
    ENCODINGS,
    EXAMPLES,
    GENERATED,
    THOROUGHLY,
    UNDEFINED,
    datasets,
    head,
    mutations,
)

pytestmark = pytest.mark.skipif(
    not has_plain_elements(), reason="pacs-speedups was built without a compiler, or is off"
)
OPTIONS = st.fixed_dictionaries(
    {"size_is_known": st.booleans()},
    optional={
        "until_pixel_data": st.booleans(),
        "default_character_set": st.sampled_from([("ISO_IR 144",), ("ISO 2022 IR 87",)]),
        "limits": st.builds(
            ReadLimits,
            bulk=st.integers(0, 200),
            value=st.integers(0, 200),
            total=st.integers(0, 2000),
            elements=st.integers(0, 60),
            depth=st.integers(0, 5),
        ),
    },
)


def agree(data, uid, **options):
    with read_in_python():
        expected = outcome_of_reading(data, uid, **options)
    # Once more, as by then the VRs of what is sent without are known.
    for _ in range(2):
        assert outcome_of_reading(data, uid, **options) == expected


@pytest.mark.parametrize(
    ("data", "uid"), [pytest.param(data, uid, id=name) for name, data, uid in datasets()]
)
def test_they_agree_on_real_files(data, uid):
    small = ReadLimits(bulk=16, value=64, total=3000, elements=200, depth=2)
    for options in ({}, {"limits": small}, {"until_pixel_data": True}, {"size_is_known": False}):
        agree(data, uid, **options)


@pytest.mark.parametrize(
    ("data", "uid"), [pytest.param(data, uid, id=name) for name, data, uid in datasets()]
)
def test_they_agree_on_real_files_cut_anywhere(data, uid):
    for end in range(0, min(len(data), 6000), 211):
        agree(data[:end], uid)


@THOROUGHLY(max_examples=EXAMPLES)
@given(mutations(), OPTIONS)
def test_they_agree_on_real_files_with_faults(dataset, options):
    data, uid = dataset
    agree(data, uid, **options)


@THOROUGHLY(max_examples=EXAMPLES)
@given(GENERATED, OPTIONS)
@example((b"\x08\0\x18\0UI\0\0", EXPLICIT_VR_LITTLE_ENDIAN), {})
def test_they_agree_on_what_is_made_up(dataset, options):
    data, uid = dataset
    agree(data, uid, **options)


@THOROUGHLY(max_examples=EXAMPLES // 4)
@given(st.binary(max_size=200), st.sampled_from(sorted(ENCODINGS)), OPTIONS)
def test_they_agree_on_noise(data, uid, options):
    agree(data, uid, **options)


def nest(depth, undefined, innermost=b""):
    value = innermost
    for _ in range(depth):
        length = UNDEFINED if undefined else len(value)
        value = head(0xFFFE_E000, b"", length, "<", True) + value
        value += head(0xFFFE_E00D, b"", 0, "<", True) * undefined
        length = UNDEFINED if undefined else len(value)
        value = head(0x0008_1140, b"SQ", length, "<", True) + value
        value += head(0xFFFE_E0DD, b"", 0, "<", True) * undefined
    return value


@pytest.mark.parametrize("depth", [10, 31, 32, 33, 99, 100, 101, 200])
@pytest.mark.parametrize("undefined", [True, False])
@pytest.mark.parametrize(
    "innermost", [b"", b"\x10\0\x20\0LO\2\0AB", b"\x08\0\5\0CS\0\0", b"\1\2\3"]
)
def test_they_agree_on_what_nests_deeply(depth, undefined, innermost):
    data = nest(depth, undefined, innermost) + b"\x10\0\x20\0LO\2\0AB"
    agree(data, EXPLICIT_VR_LITTLE_ENDIAN)
    agree(data, EXPLICIT_VR_LITTLE_ENDIAN, limits=ReadLimits(depth=150))


def test_delimiters_that_are_one_too_many_or_missing_mean_the_same():
    inner = head(0x0008_1140, b"SQ", 8, "<", True) + head(0xFFFE_E000, b"", 0, "<", True)
    item, end = (head(tag, b"", 0, "<", True) for tag in (0xFFFE_E000, 0xFFFE_E00D))
    last = head(0xFFFE_E0DD, b"", 0, "<", True)
    opened = head(0xFFFE_E000, b"", UNDEFINED, "<", True)
    for items in (
        opened + inner + end + opened + inner + end,
        opened + inner + end + end,
        opened + inner + opened + inner,
        opened + inner + last,
        opened + opened + end,
        item + end + item + end,
        item + last,
        bytes(8) + item + bytes(16),
        opened + inner[:12] + end + end,
    ):
        for closing in (b"", last, last + last):
            sequence = head(0x0040_A730, b"SQ", UNDEFINED, "<", True) + items + closing
            agree(sequence + b"\x48\0\x20\0LO\2\0AB", EXPLICIT_VR_LITTLE_ENDIAN)
            sequence = head(0x0040_A730, b"SQ", len(items + closing), "<", True) + items + closing
            agree(sequence + b"\x48\0\x20\0LO\2\0AB", EXPLICIT_VR_LITTLE_ENDIAN)
            bare = b"\x40\0\x30\xa7" + b"\xff" * 4 + items.replace(b"SQ\0\0", b"") + closing
            agree(bare, IMPLICIT_VR_LITTLE_ENDIAN)
