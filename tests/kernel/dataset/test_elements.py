"""Parsing and encoding of small datasets (PS3.5 §6.2, §7, Annex A)."""

import warnings
from io import BytesIO

import pytest
from hypothesis import given, strategies as st
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from pacs_core.dataset import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    MalformedDataset,
    UnencodableValue,
    encode_attributes,
    encoding_of,
    parse_attributes,
)

UIDS = [
    IMPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
]
IDENTIFIER = {
    0x0008_0005: ("ISO_IR 192",),
    0x0008_0018: ("1.2.3",),
    0x0008_0052: ("STUDY",),
    0x0008_0061: ("CT", "MR"),
    0x0008_1110: ({0x0008_1155: ("1.2",)}, {}),
    0x0008_1140: (),
    0x0010_0010: ("Müller^Jörg",),
    0x0010_0030: (),
    0x0010_4000: ("one\\two",),
    0x0018_6060: ("-1.5",),
    0x0020_9165: ("00189004",),
    0x0028_0009: ("00181063", "00181065"),
    0x0028_0010: ("512",),
    0x0028_0030: ("0.5", "0.25"),
    0x0028_1101: ("256", "0", "16"),
    0x0040_A730: ({0x0040_A730: ({0x0040_A160: ("deep",)},)},),
}
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\\ \0\x1b", min_codepoint=32))


@pytest.mark.parametrize("uid", UIDS)
def test_an_identifier_survives_the_round_trip(uid):
    assert parse_attributes(encode_attributes(IDENTIFIER, uid, ("ISO_IR 192",)), uid) == IDENTIFIER


@pytest.mark.parametrize("uid", UIDS[:3])
def test_pydicom_reads_what_is_encoded_and_writes_the_same_bytes(uid):
    encoding = encoding_of(uid)
    encoded = encode_attributes(IDENTIFIER, uid, ("ISO_IR 192",))
    stream = BytesIO(encoded)
    dataset = read_dataset(stream, not encoding.explicit, encoding.little_endian)
    assert dataset.PatientName == "Müller^Jörg"
    assert list(dataset.PixelSpacing) == [0.5, 0.25]
    assert dataset.ReferencedStudySequence[0].ReferencedSOPInstanceUID == "1.2"
    written = DicomBytesIO()
    written.is_little_endian = encoding.little_endian
    written.is_implicit_VR = not encoding.explicit
    dataset[0x0010_0010].value  # noqa: B018 - decoded, so that it is encoded anew
    write_dataset(written, dataset)
    assert written.getvalue() == encoded


@pytest.mark.parametrize("undefined", [True, False])
@pytest.mark.parametrize("uid", UIDS[:3])
def test_what_pydicom_writes_is_parsed(uid, undefined):
    encoding = encoding_of(uid)
    item = Dataset()
    item.PatientName = "Doe^Jane"
    item.PixelData = b"12"
    item["PixelData"].VR = "OW"
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.ReferencedImageSequence = [item, Dataset()]
    dataset["ReferencedImageSequence"].is_undefined_length = undefined
    item.is_undefined_length_sequence_item = undefined
    dataset.PatientName = "Müller"
    dataset.Rows = 7
    written = DicomBytesIO()
    written.is_little_endian = encoding.little_endian
    written.is_implicit_VR = not encoding.explicit
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_dataset(written, dataset)
    assert parse_attributes(written.getvalue(), uid) == {
        0x0008_0005: ("ISO_IR 100",),
        0x0008_1140: ({0x0010_0010: ("Doe^Jane",)}, {}),
        0x0010_0010: ("Müller",),
        0x0028_0010: ("7",),
    }


@given(names=st.lists(TEXT, min_size=2, max_size=5), uid=st.sampled_from(UIDS))
def test_any_text_survives_the_round_trip(names, uid):
    attributes = {0x0010_1001: tuple(names), 0x0008_1110: ({0x0010_1001: tuple(names)},)}
    parsed = parse_attributes(encode_attributes(attributes, uid, ("ISO_IR 192",)), uid)
    assert parsed[0x0008_1110][0].get(0x0010_1001) == parsed[0x0010_1001]
    expected = "\\".join(names)
    assert "\\".join(parsed[0x0010_1001]) == expected


def test_the_character_set_is_written_only_when_given():
    attributes = {0x0008_0005: ("ISO_IR 100",), 0x0010_0010: ("Doe",)}
    assert 0x0008_0005 not in parse_attributes(encode_attributes(attributes, UIDS[1]), UIDS[1])
    assert attributes[0x0008_0005] == ("ISO_IR 100",)


def test_an_item_may_have_a_character_set_of_its_own():
    inner = encode_attributes({0x0010_0010: ("Müller",)}, UIDS[0], ("ISO_IR 100",))
    item = b"\xfe\xff\x00\xe0" + len(inner).to_bytes(4, "little") + inner
    data = b"\x08\x00\x10\x11" + len(item).to_bytes(4, "little") + item
    assert parse_attributes(data, UIDS[0])[0x0008_1110][0][0x0010_0010] == ("Müller",)


def test_values_are_padded_to_even_length():
    # PS3.5 §6.2: UI with a null, text with a space
    assert encode_attributes({0x0008_0018: ("1.2",)}, UIDS[0]).endswith(b"1.2\0")
    assert encode_attributes({0x0010_0010: ("Doe",)}, UIDS[0]).endswith(b"Doe ")


@pytest.mark.parametrize(
    ("raw", "values"),
    [
        (b"  ", ()),
        (b" CT \\ MR ", ("CT", "MR")),
        (b"CT\\\\MR", ("CT", "", "MR")),
        (b"CT\0", ("CT",)),
        (b"\\", ("", "")),
    ],
)
def test_padding_and_multiplicity_of_coded_strings(raw, values):
    data = b"\x08\x00\x61\x00CS" + len(raw).to_bytes(2, "little") + raw
    assert parse_attributes(data, UIDS[1]) == {0x0008_0061: values}


def test_private_attributes_keep_their_explicit_vr_and_are_written_as_lo():
    data = b"\x09\x00\x10\x00LO\x04\x00ACME\x09\x00\x01\x10US\x02\x00\x07\x00"
    attributes = {0x0009_0010: ("ACME",), 0x0009_1001: ("7",)}
    assert parse_attributes(data, UIDS[1]) == attributes
    assert parse_attributes(encode_attributes(attributes, UIDS[1]), UIDS[1]) == attributes
    nested = {0x0009_1002: ({0x0010_0010: ("Doe",)},)}
    assert parse_attributes(encode_attributes(nested, UIDS[1]), UIDS[1]) == nested


def test_a_negative_value_of_us_or_ss_is_ss():
    smallest = {0x0028_0106: ("-5",)}
    encoded = encode_attributes(smallest, UIDS[1])
    assert encoded[4:6] == b"SS"
    assert parse_attributes(encoded, UIDS[1]) == smallest


@pytest.mark.parametrize(
    ("attributes", "what"),
    [
        ({0x0028_0010: ("many",)}, r"\(0028,0010\).*'many' is no US"),
        ({0x0028_0010: ("-1",)}, "is no US, a whole number from 0 to 65535"),
        ({0x0028_0106: ("-70000",)}, r"\(0028,0106\).*is no SS, .* from -32768 to 32767"),
        ({0x0018_605A: ("fast",)}, "is no FL, a number"),
        ({0x0028_0009: ("PatientName",)}, "is no AT"),
        ({0x7FE0_0010: ("x",)}, "VR OB takes no such value"),
        ({0x0008_1110: ("text",)}, "VR SQ takes no such value"),
        ({0x0010_0010: ({},)}, r"\(0010,0010\)"),
        ({0x0010_0010: ("x" * 70_000,)}, r"\(0010,0010\)"),
        ({0x0008_1110: ({}, "text")}, r"\(0008,1110\)"),
        ({0x0010_0010: ("text", {})}, r"\(0010,0010\)"),
    ],
)
def test_what_cannot_be_encoded_is_named(attributes, what):
    with pytest.raises(UnencodableValue, match=what):
        encode_attributes(attributes, EXPLICIT_VR_LITTLE_ENDIAN)


@pytest.mark.parametrize("uid", UIDS)
def test_truncation_is_malformed_except_between_elements(uid):
    data = encode_attributes(IDENTIFIER, uid, ("ISO_IR 192",))
    whole = 0
    for end in range(len(data)):
        try:
            parse_attributes(data[:end], uid)
            whole += 1
        except MalformedDataset as error:
            assert error.offset <= max(end, 1000)  # noqa: PT017
    padding = 1  # the last byte may pad the deflate stream
    assert whole <= (padding if uid == UIDS[3] else len(IDENTIFIER))


def test_limits_are_named():
    deep = {}
    for _ in range(5):
        deep = {0x0008_1110: (deep,)}
    data = encode_attributes(deep, UIDS[0])
    with pytest.raises(MalformedDataset, match="nest deeper than 4"):
        parse_attributes(data, UIDS[0], max_depth=4)
    assert parse_attributes(data, UIDS[0], max_depth=5) == deep
    with pytest.raises(MalformedDataset, match="longer than the 10 bytes"):
        parse_attributes(data, UIDS[0], max_length=10)
