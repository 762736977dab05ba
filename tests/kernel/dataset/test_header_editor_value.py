"""Values of single elements of a header."""

import pytest

from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    MalformedDataset,
    element_value,
    encode_attributes,
)

HEADER = {0x0010_0020: ("PAT1",), 0x0040_A730: ({0x0040_A160: ("inner",)},), 0x0040_A160: ("text",)}


@pytest.mark.parametrize("uid", [EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN])
def test_the_value_of_a_top_level_element(uid):
    header = encode_attributes(HEADER, uid)
    assert element_value(header, uid, 0x0010_0020) == b"PAT1"
    assert element_value(header, uid, 0x0040_A160) == b"text"
    assert element_value(header, uid, 0x0010_0010) is None


def test_a_broken_header_is_refused():
    header = encode_attributes(HEADER, EXPLICIT_VR_LITTLE_ENDIAN)
    with pytest.raises(MalformedDataset):
        element_value(header[:-1], EXPLICIT_VR_LITTLE_ENDIAN, 0x0010_0010)
