"""The Native DICOM Model (PS3.19 A.1)."""

from xml.etree import ElementTree

import pytest
from hypothesis import given, strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pacs_core.dataset import DataElement, ElementSet, MalformedModel, ModelOptions, tag_of
from pacs_core.dataset.json_model import write_json
from pacs_core.dataset.xml_model import NAMESPACE, read_xml, write_xml
from tests.kernel.dataset.element_sets import content, element_set, element_sets


def as_xml(elements: ElementSet, options: ModelOptions | None = None) -> bytes:
    return "".join(write_xml(elements, options)).encode()


def example() -> Dataset:
    item = Dataset()
    item.CodeValue = "<T&1>"
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.ImageType = ["ORIGINAL", "", "AXIAL"]
    dataset.PatientName = "Yamada^Tarou^^Dr=山田^太郎"
    dataset.PatientComments = "one\r\ntwo\t  three"
    dataset.ProcedureCodeSequence = Sequence([item, Dataset()])
    dataset.add_new(0x0009_0011, "LO", 'ACME "1"')
    dataset.add_new(0x0009_1102, "OB", b"ab")
    return dataset


def test_the_document_is_as_the_standard_has_it():
    found = ElementTree.fromstring(as_xml(element_set(example())))
    assert found.tag == f"{{{NAMESPACE}}}NativeDicomModel"
    by_tag = {each.get("tag"): each for each in found}
    name = by_tag["00100010"]
    assert name.attrib == {"tag": "00100010", "vr": "PN", "keyword": "PatientName"}
    assert [(part.tag.partition("}")[2], part.text) for part in name.iter() if part.text] == [
        ("FamilyName", "Yamada"),
        ("GivenName", "Tarou"),
        ("NamePrefix", "Dr"),
        ("FamilyName", "山田"),
        ("GivenName", "太郎"),
    ]
    values = [(value.get("number"), value.text) for value in by_tag["00080008"]]
    assert values == [("1", "ORIGINAL"), ("2", None), ("3", "AXIAL")]
    private = by_tag["00090002"]
    assert private.get("privateCreator") == 'ACME "1"'
    assert private[0].text == "YWI="
    assert [item.get("number") for item in by_tag["00081032"]] == ["1", "2"]


def test_the_example_is_read_again():
    elements = element_set(example())
    assert content(read_xml(as_xml(elements))) == content(elements)


@given(element_sets(), st.integers(1, 50))
def test_what_is_written_is_read_again_in_any_pieces(elements, size):
    document = as_xml(elements)
    pieces = [document[start : start + size] for start in range(0, len(document), size)]
    again = read_xml(iter(pieces))
    for tag in elements.elements:
        assert again.texts(tag) == elements.texts(tag)
    assert as_xml(read_xml(as_xml(again))) == as_xml(again)
    kept = {t: e for t, e in again.elements.items() if t != tag_of("SpecificCharacterSet")}
    assert "".join(write_json(ElementSet(kept, again.character_sets))) == "".join(
        write_json(elements)
    )


@given(st.binary(max_size=60))
def test_odd_text_never_breaks_xml(raw):
    warnings: list[str] = []
    elements = ElementSet(
        {
            0x0010_0010: DataElement(0x0010_0010, "PN", raw),
            0x0010_4000: DataElement(0x0010_4000, "LT", raw),
            0x0018_605A: DataElement(0x0018_605A, "FL", raw),
            0x0009_0010: DataElement(0x0009_0010, "LO", raw),
            0x0009_1010: DataElement(0x0009_1010, "LO", b"1 "),
        },
        ("ISO_IR 100",),
    )
    document = as_xml(elements, ModelOptions(warn=warnings.append))
    ElementTree.fromstring(document)
    read_xml(document)
    if b"\x1b[" in raw:
        assert any("U+FFFD" in warning for warning in warnings)


def test_bulk_data_have_a_uri_or_a_uuid():
    uuid = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
    elements = element_set(example())
    big = ElementSet({0x0042_0011: element_set_with_bulk()})
    assert b'<BulkData uri="a&amp;b"/>' in as_xml(big, ModelOptions(lambda *_: "a&b"))
    document = as_xml(big, ModelOptions(lambda *_: uuid))
    assert f'<BulkData uuid="{uuid}"/>'.encode() in document
    read = read_xml(document, fetch=lambda path, vr, reference: reference.encode())
    assert read.elements[0x0042_0011].value == uuid.encode()
    with pytest.raises(MalformedModel, match="bulk data by reference"):
        read_xml(document)
    assert b"BulkData" not in as_xml(elements)


def element_set_with_bulk() -> DataElement:
    dataset = Dataset()
    dataset.add_new(0x0042_0011, "OB", bytes(4000))
    from pacs_core.dataset import ReadLimits

    return element_set(dataset, ReadLimits()).elements[0x0042_0011]


def document(body: str) -> bytes:
    return f'<NativeDicomModel xmlns="{NAMESPACE}">{body}</NativeDicomModel>'.encode()


def test_a_private_block_is_reserved_where_none_is():
    read = read_xml(
        document(
            '<DicomAttribute tag="00090002" vr="LO" privateCreator="A"/>'
            '<DicomAttribute tag="00090002" vr="SH" privateCreator="B"/>'
            '<DicomAttribute tag="00090003" vr="SH" privateCreator="A"/>'
        )
    )
    assert sorted(f"{tag:08X}" for tag in read.elements) == [
        "00090010",
        "00090011",
        "00091002",
        "00091003",
        "00091102",
    ]


_ATTRIBUTE = '<DicomAttribute tag="00081032" vr="SQ"><Item number="1">'


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "no XML"),
        (b"<a/>", "<a> in <>"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><x/>', "document type"),
        (b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>', "document type"),
        (b'<?xml version="1.0" encoding="nonsense"?><x/>', "no XML"),
        (document("&a;"), "no XML"),
        (document("<Value/>"), "where there can be none"),
        (document('<DicomAttribute tag="x" vr="LO"/>'), "no tag"),
        (document('<DicomAttribute tag="00100010" vr="ZZ"/>'), "there is no VR"),
        (document('<DicomAttribute tag="00100010" vr="PN"><Item/></DicomAttribute>'), "no items"),
        (
            document('<DicomAttribute tag="00280010" vr="US"><Value>x</Value></DicomAttribute>'),
            "is no US",
        ),
        (
            document(
                '<DicomAttribute tag="00280010" vr="US"><Value number="9999999">1</Value>'
                "</DicomAttribute>"
            ),
            "has the number",
        ),
        (
            document(
                '<DicomAttribute tag="00420011" vr="OB"><InlineBinary>!</InlineBinary>'
                "</DicomAttribute>"
            ),
            "no base64",
        ),
        (document(_ATTRIBUTE * 150 + "</Item></DicomAttribute>" * 150), "deeper than 100"),
    ],
)
def test_what_is_no_native_model_is_refused(data, what):
    with pytest.raises(MalformedModel, match=what):
        read_xml(data)


def test_its_length_is_limited():
    with pytest.raises(MalformedModel, match="longer than the 100 bytes"):
        read_xml(iter([b" " * 60, b" " * 60]), max_length=100)
