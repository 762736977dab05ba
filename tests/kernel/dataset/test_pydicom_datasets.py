"""Datasets of pydicom, in and out of every encoding (PS3.5 §7, Annex A)."""

import subprocess
import sys
import zlib
from io import BytesIO

import pydicom
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate

from pacs_core.dataset import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    DatasetDecoder,
    DatasetTooLarge,
    MalformedDataset,
    UnencodableValue,
    decode_dataset,
    encode_dataset,
    parse_attributes,
    tag_of,
)
from pacs_core.testing.service_provider_contract import HOSTILE_DATASETS

NATIVE = (
    IMPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
)
JPEG = "1.2.840.10008.1.2.4.50"
PIXELS = bytes(range(64)) * 2


def image(**values) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
    dataset.PatientName, dataset.PatientID = "Doe^Jane", "P1"
    dataset.Rows = dataset.Columns = 8
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation, dataset.SamplesPerPixel = 15, 0, 1
    dataset.SmallestImagePixelValue = 3  # US or SS, as Pixel Representation says
    code = Dataset()
    code.CodeValue, code.CodeMeaning = "T-1", "Thorax"
    dataset.AnatomicRegionSequence = [code]
    dataset.add_new(0x00091001, "LO", "private")
    dataset.private_block(0x0009, "ACME", create=True)
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def with_pixels(syntax=None, pixels=PIXELS) -> Dataset:
    dataset = image()
    dataset.add_new(0x7FE00010, "OW", pixels)
    if syntax:
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


@pytest.mark.parametrize("syntax", NATIVE)
def test_what_is_encoded_is_decoded(syntax):
    encoded = encode_dataset(with_pixels(), syntax)
    decoded = decode_dataset(encoded, syntax)
    assert decoded.PatientName == "Doe^Jane"
    assert decoded.AnatomicRegionSequence[0].CodeMeaning == "Thorax"
    assert decoded.SmallestImagePixelValue == 3
    assert decoded.PixelData == PIXELS
    if syntax != IMPLICIT_VR_LITTLE_ENDIAN:
        assert decoded[0x00091001].value == "private"
    assert encode_dataset(decoded, syntax) == encoded


def test_words_of_pixel_data_are_turned_round_for_big_endian():
    """PS3.5 §7.3: as no writer of pydicom does."""
    encoded = encode_dataset(with_pixels(), EXPLICIT_VR_BIG_ENDIAN)
    turned = b"".join(PIXELS[i : i + 2][::-1] for i in range(0, len(PIXELS), 2))
    assert encoded.endswith(turned)
    file = BytesIO()
    pydicom.dcmwrite(
        file, with_pixels(), implicit_vr=False, little_endian=False, force_encoding=True
    )
    from_file = pydicom.dcmread(BytesIO(file.getvalue()), force=True)
    assert from_file.original_encoding == (False, False)
    # What a big endian Dataset holds is big endian, and is written in either.
    assert encode_dataset(from_file, EXPLICIT_VR_LITTLE_ENDIAN).endswith(turned)
    assert encode_dataset(from_file, EXPLICIT_VR_BIG_ENDIAN).endswith(PIXELS)


def test_deflated_datasets_have_even_length():
    encoded = encode_dataset(image(), DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)
    assert len(encoded) % 2 == 0
    plain = zlib.decompressobj(-zlib.MAX_WBITS).decompress(encoded)
    assert plain == encode_dataset(image(), EXPLICIT_VR_LITTLE_ENDIAN)


@pytest.mark.parametrize("hostile", HOSTILE_DATASETS.values(), ids=HOSTILE_DATASETS.keys())
def test_what_is_no_dataset_is_malformed(hostile):
    if hostile == bytes(len(hostile)):  # padding is put up with
        assert not decode_dataset(hostile, EXPLICIT_VR_LITTLE_ENDIAN)
        return
    with pytest.raises(MalformedDataset):
        decode_dataset(hostile, EXPLICIT_VR_LITTLE_ENDIAN)


@pytest.mark.parametrize("syntax", NATIVE)
def test_a_dataset_that_breaks_off_is_malformed(syntax):
    encoded = encode_dataset(with_pixels(), syntax)
    with pytest.raises(MalformedDataset):
        decode_dataset(encoded[:-30], syntax)


@pytest.mark.parametrize("syntax", NATIVE[:2])
def test_a_delimiter_too_many_ends_nothing(syntax):
    delimiter = b"\xfe\xff\x0d\xe0" + bytes(4)
    first, second = Dataset(), Dataset()
    first.SpecificCharacterSet, first.PatientName = "ISO_IR 192", "Müller"
    second.SpecificCharacterSet, second.ImageComments = "ISO_IR 192", "Grüße"
    data = encode_dataset(first, syntax) + delimiter * 2 + encode_dataset(second, syntax)
    decoded = decode_dataset(data + bytes(16), syntax)
    assert (decoded.PatientName, decoded.ImageComments) == ("Müller", "Grüße")


def test_a_dataset_has_a_bound_also_inflated():
    encoded = encode_dataset(image(ImageComments="x" * 9000), DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)
    assert len(encoded) < 1000
    with pytest.raises(DatasetTooLarge, match="longer than the 2000 bytes"):
        decode_dataset(encoded, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, max_length=2000)


@pytest.mark.parametrize("syntax", NATIVE)
def test_decoding_stops_before_pixels(syntax):
    encoded = encode_dataset(with_pixels(pixels=PIXELS * 500), syntax)
    decoder = DatasetDecoder(syntax, stop_before_pixels=True, max_length=2000)
    for start in range(0, len(encoded), 7):
        decoder.feed(encoded[start : start + 7])
    assert decoder.has_stopped
    decoded = decoder.finish()
    assert "PixelData" not in decoded
    assert decoded.PatientID == "P1"


# --- character sets (PS3.3 C.12.1.1.2)


@pytest.mark.parametrize(
    ("declared", "name", "written"),
    [
        (None, "Doe^Jane", None),
        (None, "Müller^Jürgen", "ISO_IR 192"),
        ("ISO_IR 100", "Müller^Jürgen", "ISO_IR 100"),
        ("ISO_IR 100", "Yamada^Tarou=山田^太郎", "ISO_IR 192"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎", ["", "ISO 2022 IR 87"]),
    ],
)
def test_no_text_is_lost(declared, name, written):
    item = Dataset()
    item.CodeMeaning = "Übersicht" if declared != ["", "ISO 2022 IR 87"] else "view"
    dataset = Dataset()
    if declared:
        dataset.SpecificCharacterSet = declared
    dataset.PatientName = name
    if not name.isascii():
        dataset.AnatomicRegionSequence = [item]
    encoded = encode_dataset(dataset, EXPLICIT_VR_LITTLE_ENDIAN)
    attributes = parse_attributes(encoded, EXPLICIT_VR_LITTLE_ENDIAN)
    assert attributes[tag_of("PatientName")] == (name,)
    if not name.isascii():
        (parsed,) = attributes[tag_of("AnatomicRegionSequence")]
        assert parsed[tag_of("CodeMeaning")] == (item.CodeMeaning,)
    assert decode_dataset(encoded, EXPLICIT_VR_LITTLE_ENDIAN).get("SpecificCharacterSet") == written
    assert dataset.get("SpecificCharacterSet") == declared  # the author's own is not changed


def test_an_item_that_names_a_poorer_character_set_is_written_in_unicode():
    item = Dataset()
    item.SpecificCharacterSet, item.CodeMeaning = "ISO_IR 100", "山"
    dataset = Dataset()
    dataset.SpecificCharacterSet, dataset.AnatomicRegionSequence = "ISO_IR 192", [item]
    encoded = encode_dataset(dataset, EXPLICIT_VR_LITTLE_ENDIAN)
    assert (
        decode_dataset(encoded, EXPLICIT_VR_LITTLE_ENDIAN)
        .AnatomicRegionSequence[0]["CodeMeaning"]
        .value
        == "山"
    )


# --- what cannot be written


def test_compressed_pixel_data_are_sent_in_their_own_syntax_only():
    fragments = encapsulate([b"\xff\xd8\xff\xd9"])
    dataset = with_pixels(JPEG, fragments)
    encoded = encode_dataset(dataset, JPEG)
    assert decode_dataset(encoded, JPEG)["PixelData"].value == fragments
    for other in (*NATIVE, "1.2.840.10008.1.2.4.70"):
        with pytest.raises(UnencodableValue, match="Pixel Data are JPEG Baseline"):
            encode_dataset(dataset, other)
    with pytest.raises(UnencodableValue, match="Pixel Data are native"):
        encode_dataset(with_pixels(), JPEG)


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        (0x00280010, "US", "many"),
        (0x00280010, "US", 70000),
        (0x00020010, "UI", "1.2"),
        (0x00000900, "US", 0),
        (0x00400275, "SQ", None),
    ],
)
def test_what_is_no_value_is_not_written(tag, vr, value):
    dataset = Dataset()
    if vr == "SQ":
        dataset.AnatomicRegionSequence = [Dataset()]
        dataset.AnatomicRegionSequence[0].add_new(0x00280010, "US", "many")
    else:
        dataset.add_new(tag, vr, value)
    with pytest.raises(UnencodableValue):
        encode_dataset(dataset, EXPLICIT_VR_LITTLE_ENDIAN)


def test_pydicom_is_imported_by_those_who_use_it():
    code = (
        "import sys, pacs_core.app, pacs_core.association, pacs_core.contracts\n"
        "from pacs_core.dataset import is_pydicom_dataset\n"
        "assert not is_pydicom_dataset({})\n"
        "assert not {'pydicom', 'pynetdicom'} & set(sys.modules), 'imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
