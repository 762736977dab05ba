"""UIDs from the wire (PS3.5 §9.1)."""

import pytest
from hypothesis import given, strategies as st

from pacs_core.dimse import is_valid_uid


@pytest.mark.parametrize("text", ["1", "1.2.840.10008.1.1", "1.02.3", "0.0", "9" * 64, "2.25.0"])
def test_valid(text):
    assert is_valid_uid(text)


@pytest.mark.parametrize(
    "text",
    ["", ".", ".1", "1.", "1..2", "1 .2", "1.2\n", "1.2\0", "1.a", "../1", "9" * 65, "1.٣", "1.²"],
)
def test_invalid(text):
    assert not is_valid_uid(text)


@given(st.text(alphabet="0123456789./\\\0\n aé", max_size=70))
def test_a_valid_uid_is_safe_as_a_name(text):
    if is_valid_uid(text):
        assert set(text) <= set("0123456789.")
        assert ".." not in text
        assert len(text) <= 64
