"""Elements of datasets are read with their VR, and long values are not read at all."""

from contextlib import suppress
from struct import pack

import pytest
from hypothesis import given, strategies as st
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from pacs_core.dataset import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    BulkData,
    DataElement,
    ElementReader,
    MalformedDataset,
    ReadLimits,
    encode_elements,
    read_elements,
    tag_of,
)
from tests.kernel.dataset.element_sets import content, element_sets, encoded

RLE = "1.2.840.10008.1.2.5"
PIXELS = 0x7FE0_0010


def example() -> Dataset:
    item = Dataset()
    item.CodeValue = "T-1"
    item.add_new(0x0009_0010, "LO", "ACME")
    item.add_new(0x0009_1001, "OW", b"\1\2\3\4")
    dataset = Dataset()
    dataset.PatientName = "Doe^Jane"
    dataset.Rows = 0x0102
    dataset.ProcedureCodeSequence = [item, Dataset()]
    dataset.add_new(0x0009_0010, "LO", "ACME")
    dataset.add_new(0x0009_1002, "UN", b"ab")
    return dataset


def read(data: bytes, uid: str = EXPLICIT_VR_LITTLE_ENDIAN, **options):
    """Drive a reader, and count the bytes that it asks for."""
    reader = ElementReader(uid, len(data), **options)
    asked = 0
    reading = reader.run()
    try:
        offset, length = next(reading)
        while True:
            asked += length
            offset, length = reading.send(data[offset : offset + length])
    except StopIteration:
        return reader, asked


@pytest.mark.parametrize("explicit", [True, False])
def test_elements_come_with_vr_items_and_private_creators(explicit):
    uid = EXPLICIT_VR_LITTLE_ENDIAN if explicit else IMPLICIT_VR_LITTLE_ENDIAN
    elements = read_elements(encoded(example(), explicit=explicit), uid)
    assert elements.elements[tag_of("PatientName")] == DataElement(
        tag_of("PatientName"), "PN", b"Doe^Jane"
    )
    assert elements.texts(tag_of("Rows")) == ("258",)
    assert elements.private_creator(0x0009_1002) == "ACME"
    first = elements.find((tag_of("ProcedureCodeSequence"), 0, 0x0009_1001))
    assert first == DataElement(0x0009_1001, "OW" if explicit else "UN", b"\1\2\3\4")
    assert elements.find((tag_of("ProcedureCodeSequence"), 2, 0x0009_1001)) is None


def test_values_come_in_little_endian_whatever_they_are_sent_in():
    dataset = example()
    dataset.ProcedureCodeSequence[0][0x0009_1001].value = b"\2\1\4\3"  # words, as they are sent
    big = read_elements(encoded(dataset, little_endian=False), EXPLICIT_VR_BIG_ENDIAN)
    little = read_elements(encoded(example()), EXPLICIT_VR_LITTLE_ENDIAN)
    assert content(big) == content(little)


@pytest.mark.parametrize(
    "uid", [EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN]
)
@given(elements=element_sets())
def test_what_is_written_is_read_again(uid, elements):
    data = b"".join(map(bytes, encode_elements(elements, uid)))
    again = read_elements(data, uid)
    explicit = uid != IMPLICIT_VR_LITTLE_ENDIAN
    if explicit:
        assert content(again) == content(elements)
    assert b"".join(map(bytes, encode_elements(again, uid))) == data


def test_bulk_data_are_given_as_offset_and_length_and_not_read():
    dataset = example()
    dataset.add_new(0x0042_0011, "OB", bytes(10 << 20))
    dataset.add_new(PIXELS, "OW", bytes(20 << 20))
    dataset.add_new(0xFFFC_FFFC, "OB", b"xy")
    data = encoded(dataset)
    reader, asked = read(data)
    document = reader.elements.elements[0x0042_0011].value
    assert isinstance(document, BulkData)
    assert document.length == 10 << 20
    assert data[document.offset - 12 : document.offset - 8] == pack("<HH", 0x42, 0x11)
    assert reader.pixel_data.length == 20 << 20
    assert reader.pixel_data_offset == reader.elements.elements[PIXELS].value.offset
    assert reader.elements.elements[0xFFFC_FFFC].value == b"xy"
    assert asked < 100_000


def test_of_encapsulated_pixel_data_only_headers_of_fragments_are_read():
    dataset = example()
    frames = [bytes(200_000)] * 20
    dataset.add_new(PIXELS, "OB", encapsulate(frames))
    dataset[PIXELS].is_undefined_length = True
    dataset.add_new(0xFFFC_FFFC, "OB", b"xy")
    data = encoded(dataset)
    reader, asked = read(data, RLE)
    assert reader.pixel_data.length is None
    assert reader.elements.elements[PIXELS].value == BulkData(reader.pixel_data_offset, None)
    assert reader.elements.elements[0xFFFC_FFFC].value == b"xy"
    assert asked < 100_000
    stopped, _ = read(data, RLE, until_pixel_data=True)
    assert stopped.pixel_data_offset == reader.pixel_data_offset
    assert PIXELS not in stopped.elements.elements


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (pack("<HH2sHH", 0x10, 0x20, b"LO", 8, 0), "claims 8 bytes"),
        (pack("<HH2sxxI", 0x40, 0xA730, b"SQ", 0xFFFFFFFF) + pack("<HHI", 8, 5, 0), "an item was"),
        (pack("<HHI", 0xFFFE, 0xE000, 0), "unexpected"),
        (pack("<HH2sxxI", 0x7FE0, 0x10, b"OB", 0xFFFFFFFF), "do not end"),
    ],
)
def test_what_is_no_dataset_is_refused(data, what):
    with pytest.raises(MalformedDataset, match=what):
        read_elements(data, EXPLICIT_VR_LITTLE_ENDIAN)


def test_limits_hold():
    nested = b"".join(
        pack("<HH2sxxI", 0x40, 0xA730, b"SQ", 0xFFFFFFFF) + pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
        for _ in range(200)
    )
    with pytest.raises(MalformedDataset, match="deeper than 100"):
        read_elements(nested, EXPLICIT_VR_LITTLE_ENDIAN)
    many = pack("<HH2sH", 0x10, 0x20, b"LO", 0) * 50
    with pytest.raises(MalformedDataset, match="more than 20 elements"):
        read_elements(many, EXPLICIT_VR_LITTLE_ENDIAN, ReadLimits(elements=20))
    dataset = Dataset()
    for element in range(1, 20):
        dataset.add_new(0x0011_1000 + element, "LT", "x" * 1000)
    kept = read_elements(encoded(dataset), EXPLICIT_VR_LITTLE_ENDIAN, ReadLimits(total=5000))
    assert sum(isinstance(element.value, bytes) for element in kept) == 5


@given(st.binary(max_size=300), st.sampled_from([EXPLICIT_VR_LITTLE_ENDIAN, RLE]))
def test_noise_is_read_or_refused(data, uid):
    for start in (b"", pack("<HH2sxxI", 0x40, 0xA730, b"SQ", 0xFFFFFFFF)):
        with suppress(MalformedDataset):
            read_elements(start + data, uid)


def test_a_sequence_sent_as_unknown_is_one_if_its_items_are_implicit():
    """PS3.5 §6.2.2, note 2; what holds something else stays as it is."""
    item = Dataset()
    item.CodeValue = "T-1"
    for explicit in (False, True):
        content = encoded(item, explicit=explicit)
        value = pack("<HHI", 0xFFFE, 0xE000, len(content)) + content
        dataset = pack("<HH2sxxI", 0x0008, 0x1032, b"UN", len(value)) + value
        found = read_elements(dataset, EXPLICIT_VR_LITTLE_ENDIAN).elements[0x0008_1032]
        if explicit:
            assert found == DataElement(0x0008_1032, "UN", value)
        else:
            assert found.items[0].texts(tag_of("CodeValue")) == ("T-1",)
