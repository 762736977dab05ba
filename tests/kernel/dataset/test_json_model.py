"""The DICOM JSON Model, compared with pydicom's and with itself (PS3.18 Annex F)."""

import json
from struct import pack

import pytest
from hypothesis import given, strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    BulkData,
    DataElement,
    ElementSet,
    MalformedModel,
    ModelOptions,
    ReadLimits,
    encode_attributes,
    encode_elements,
    read_elements,
    tag_of,
)
from pacs_core.dataset.json_model import attributes_json, read_json, write_json
from tests.kernel.dataset.element_sets import content, element_set, element_sets, encoded

FLOATS = 0x0018_605A  # Table of Parameter Values, FL


def as_json(elements: ElementSet, options: ModelOptions | None = None):
    return json.loads("".join(write_json(elements, options)), parse_constant=pytest.fail)


def example() -> Dataset:
    item = Dataset()
    item.CodeValue = "T-1"
    item.add_new(0x0009_0010, "LO", "ACME")
    item.add_new(0x0009_1001, "OB", b"\1\2\3\4")
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    dataset.PatientID = ""
    dataset.PatientComments = "a\\b"
    dataset.Rows = 512
    dataset.PixelSpacing = ["0.5", "0.25"]
    dataset.InstanceNumber = "7"
    dataset.FrameIncrementPointer = 0x0018_1063
    dataset.add_new(FLOATS, "FL", [0.5, -2.5])
    dataset.add_new(0x0008_0055, "AE", "NODE")
    dataset.ProcedureCodeSequence = Sequence([item, Dataset()])
    dataset.add_new(0x0009_0010, "LO", "ACME")
    dataset.add_new(0x0009_1002, "UN", b"ab")
    return dataset


def test_json_is_that_of_pydicom():
    assert as_json(element_set(example())) == example().to_json_dict(1 << 20)


def test_json_is_read_by_pydicom_and_ours_by_it():
    ours = Dataset.from_json("".join(write_json(element_set(example()))))
    assert encoded(ours) == encoded(example())
    (again,) = read_json(json.dumps(example().to_json_dict(1 << 20)))
    theirs = read_elements(
        b"".join(map(bytes, encode_elements(again, EXPLICIT_VR_LITTLE_ENDIAN))),
        EXPLICIT_VR_LITTLE_ENDIAN,
    )
    assert content(theirs) == content(element_set(example()))


@given(element_sets())
def test_what_is_written_is_read_again(elements):
    (again,) = read_json("".join(write_json(elements)).encode())
    assert as_json(again) == as_json(elements) | (
        {"00080005": {"vr": "CS", "Value": ["ISO_IR 192"]}}
        if tag_of("SpecificCharacterSet") in again.elements
        else {}
    )
    assert "".join(write_json(read_json("".join(write_json(again)))[0])) == "".join(
        write_json(again)
    )


def test_attributes_ascend_and_have_no_group_lengths():
    dataset = pack("<HH2sHI", 0x10, 0, b"UL", 4, 10) + pack("<HH2sH2s", 0x10, 0x20, b"LO", 2, b"ID")
    assert as_json(read_elements(dataset, EXPLICIT_VR_LITTLE_ENDIAN)) == {
        "00100020": {"vr": "LO", "Value": ["ID"]}
    }
    assert list(as_json(element_set(example()))) == sorted(as_json(element_set(example())))


@pytest.mark.parametrize(
    ("vr", "text", "value"),
    [
        ("DS", "1.50", 1.5),
        ("DS", "+1.", 1.0),
        ("DS", "007", 7.0),
        ("DS", "1,5", "1,5"),
        ("DS", "1e999", "1e999"),
        ("DS", "NaN", "NaN"),
        ("IS", "+12", 12),
        ("IS", "1A", "1A"),
        ("IS", "1.5", "1.5"),
        ("IS", "9" * 18, "9" * 18),
        ("IS", "", None),
    ],
)
def test_numbers_are_numbers_and_what_is_none_is_a_string(vr, text, value):
    """PS3.18 F.2.3, note."""
    raw = f"{text}\\8 "[: None if len(text) % 2 == 0 else -1].encode()
    element = DataElement(0x0020_0013, vr, raw)
    assert as_json(ElementSet({element.tag: element}))["00200013"]["Value"][0] == value


def test_nan_and_infinity_are_null_with_a_warning_or_bulk_data():
    warnings: list[str] = []
    element = DataElement(FLOATS, "FL", pack("<4f", 1, float("nan"), float("inf"), 2))
    elements = ElementSet({FLOATS: element})
    found = as_json(elements, ModelOptions(warn=warnings.append))
    assert found == {"0018605A": {"vr": "FL", "Value": [1.0, None, None, 2.0]}}
    assert warnings == ["(0018,605A): NaN or infinity is given as null"]
    found = as_json(elements, ModelOptions(refer=lambda path, element: "../bulk/1"))
    assert found == {"0018605A": {"vr": "FL", "BulkDataURI": "../bulk/1"}}
    (read,) = read_json('{"0018605A":{"vr":"FL","Value":[1,"NaN","-Infinity",null]}}')
    assert read.texts(FLOATS) == ("1.0", "nan", "-inf", "nan")


def test_bulk_data_have_a_uri_by_their_path_or_are_left_out():
    dataset = example()
    dataset.ProcedureCodeSequence[0].add_new(0x0009_1001, "OB", bytes(5000))
    elements = element_set(dataset, ReadLimits())
    long = DataElement(0x0008_0050, "SH", BulkData(0, 300_000))
    elements = ElementSet({**elements.elements, long.tag: long}, elements.character_sets)
    warnings: list[str] = []
    options = ModelOptions(lambda path, _: "/".join(map(str, path)), warnings.append)
    found = as_json(elements, options)
    nested = found["00081032"]["Value"][0]["00091001"]
    assert nested == {"vr": "OB", "BulkDataURI": f"{0x0008_1032}/0/{0x0009_1001}"}
    assert found["00080050"] == {"vr": "SH"}
    assert warnings == ["(0008,0050): a value of VR SH is too long, left out"]
    assert as_json(elements)["00081032"]["Value"][0]["00091001"] == {"vr": "OB"}
    with pytest.raises(MalformedModel, match="BulkDataURI"):
        read_json(json.dumps(found))
    (read,) = read_json(json.dumps(found), fetch=lambda path, vr, uri: uri.encode())
    assert read.find((0x0008_1032, 0, 0x0009_1001)).value == nested["BulkDataURI"].encode()


@pytest.mark.parametrize(
    "declared", [b"", b"ISO_IR 100", b"ISO_IR 13", b"NO SUCH SET", b"\\ISO 2022 IR 87", b"GB18030"]
)
@given(raw=st.binary(max_size=60))
def test_odd_text_never_breaks_json(declared, raw):
    def element(tag: int, vr: str, value: bytes) -> DataElement:
        return DataElement(tag, vr, value)

    elements = ElementSet(
        {
            0x0010_0010: element(0x0010_0010, "PN", raw),
            0x0010_4000: element(0x0010_4000, "LT", raw),
            0x0018_0050: element(0x0018_0050, "DS", raw),
            0x0008_0018: element(0x0008_0018, "UI", raw),
            FLOATS: element(FLOATS, "FL", raw),
        },
        tuple(declared.decode().split("\\")),
    )
    text = "".join(write_json(elements)).encode("utf-8", "replace")
    assert json.loads(text, parse_constant=pytest.fail)
    read_json(text)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "no JSON"),
        ("[1]", "no JSON object"),
        ('{"PatientName":{"vr":"PN"}}', "no tag"),
        ('{"00100010":{"vr":"ZZ"}}', "there is no VR"),
        ('{"00100010":[]}', "no JSON object"),
        ('{"00100010":{"vr":"PN","Value":"x"}}', "no array"),
        ('{"00100010":{"vr":"PN","Value":[7]}}', "no JSON object"),
        ('{"00280010":{"vr":"US","Value":["x"]}}', "is no US"),
        ('{"00280010":{"vr":"US","Value":[70000]}}', "is no US"),
        ('{"00280010":{"vr":"US","Value":[{}]}}', "is no dict"),
        ('{"7FE00010":{"vr":"OW","Value":[7]}}', "takes InlineBinary"),
        ('{"7FE00010":{"vr":"OW","InlineBinary":"!"}}', "no base64"),
        ('{"00081032":{"vr":"SQ","InlineBinary":""}}', "no base64"),
        ('{"00081032":{"vr":"SQ","Value":[' * 150 + "]}}" * 150, "deeper than 100"),
        ("[" * 100_000, "too deeply"),
        ('{"00280010":{"vr":"FD","Value":[1' + "0" * 5000 + "]}}", "no JSON|is no FD|too large"),
    ],
)
def test_what_is_no_dicom_json_is_refused(text, what):
    with pytest.raises(MalformedModel, match=what):
        read_json(text)


@pytest.mark.parametrize(
    ("vr", "tag"), [("US", "00280010"), ("FD", "00189087"), ("DS", "00101020")]
)
def test_numbers_that_are_empty_strings_are_empty(vr, tag):
    """Some write an empty value so (pydicom #2221), which has no Value by PS3.18 F.2.5."""
    ((element,),) = read_json(json.dumps({tag: {"vr": vr, "Value": [""]}}))
    assert element.value == b""


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (-0.7071067811865476, b"-0.7071067811865"),
        (123456789012345.678, b"123456789012346 "),
        (0.1 + 0.2, b"0.3 "),
        (-1.2345678901234567e-300, b"-1.23456789e-300"),
        (100.5, b"100.5 "),
    ],
)
def test_numbers_keep_the_digits_that_a_decimal_string_has_room_for(number, text):
    """Of 16 characters (PS3.5 Table 6.2-1); a direction cosine with ten digits is another one."""
    ((element,),) = read_json(json.dumps({"00181151": {"vr": "DS", "Value": [number]}}))
    assert element.value == text


def test_its_length_is_limited():
    with pytest.raises(MalformedModel, match="longer than the 10 bytes"):
        read_json("{" + " " * 20 + "}", max_length=10)


ATTRIBUTES = {
    tag_of("PatientName"): ("Doe^Jane=土井", "=小^宮"),
    tag_of("PatientID"): ('a"b',),
    tag_of("Rows"): ("512",),
    tag_of("InstanceNumber"): (" 7 ", "+3"),
    tag_of("PatientWeight"): ("70.50", "heavy"),
    tag_of("ModalitiesInStudy"): ("CT", "", "MR"),
    tag_of("StudyDate"): (),
    tag_of("FrameIncrementPointer"): ("00181063",),
    tag_of("RequestAttributesSequence"): ({tag_of("RequestedProcedureID"): ("1",)}, {}),
}


def test_attributes_of_an_index_are_the_same_as_of_a_dataset():
    encoded = encode_attributes(ATTRIBUTES, EXPLICIT_VR_LITTLE_ENDIAN, ("ISO_IR 192",))
    elements = read_elements(encoded, EXPLICIT_VR_LITTLE_ENDIAN)
    expected = json.loads("".join(write_json(elements)))
    del expected["00080005"]
    assert json.loads(attributes_json(ATTRIBUTES)) == expected


def test_attributes_that_are_no_numbers():
    found = json.loads(
        attributes_json({tag_of("Rows"): ("many",), tag_of("EventTimeOffset"): ("nan", "1.50")})
    )
    assert found["00280010"]["Value"] == ["many"]
    assert found["00082134"] == {"vr": "FD", "Value": [None, 1.5]}
    assert attributes_json({0x7FE00010: ()}) == "{}"
