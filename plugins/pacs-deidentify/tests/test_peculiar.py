"""Datasets on which other programs let something out, broke what they wrote, or gave up."""

import random
from io import BytesIO

import pytest
from pacs_deidentify.errors import DeidentificationError
from pacs_deidentify.files import deidentify_file
from pacs_deidentify.options import Option
from pacs_deidentify.profile import Profile
from pacs_deidentify.pseudonyms import Pseudonyms
from pacs_deidentify.report import Report
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from .samples import make_instance

KEY = Pseudonyms(b"0123456789abcdef")
IMPLICIT, BIG, RLE = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5"


def encoded(dataset: Dataset) -> bytes:
    buffer = BytesIO()
    if dataset.file_meta.TransferSyntaxUID == BIG:
        dataset.save_as(buffer, implicit_vr=False, little_endian=False)
    else:
        dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def run(content: bytes, *options: Option, **more) -> tuple[Dataset, bytes, Report]:
    """De-identify a file; return what was made, read again."""
    target = BytesIO()
    profile = Profile(pseudonyms=KEY, options=frozenset(options), **more)
    report = deidentify_file(BytesIO(content), profile, lambda made: target)
    return dcmread(BytesIO(target.getvalue())), target.getvalue(), report


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0])
def test_sequences_that_are_encoded_as_un(length: int) -> None:
    """They are in implicit VR, whatever the dataset is (PS3.5 §6.2.2, note 4)."""
    name = b"\x10\0\x10\0" + (12).to_bytes(4, "little") + b"Ruiz^Marisol"
    code = b"\x08\0\x00\x01" + (4).to_bytes(4, "little") + b"T-1 "
    item = code + name
    item = b"\xfe\xff\0\xe0" + len(item).to_bytes(4, "little") + item
    end = b"\xfe\xff\xdd\xe0\0\0\0\0" if length else b""
    size = length or len(item)
    element = b"\x08\0\x18\x22UN\0\0" + size.to_bytes(4, "little") + item + end
    content = encoded(make_instance())
    start = content.index(b"\x08\0\x18\x22SQ")
    rest = content.index(b"\x10\0\x10\0PN\x0c\0Ruiz^Marisol", start)
    made, written, _ = run(content[:start] + element + content[rest:])
    assert made.AnatomicRegionSequence[0].CodeValue == "T-1"
    assert made.AnatomicRegionSequence[0].PatientName == KEY.identifier("patient", "MRN-77120")
    assert b"Ruiz" not in written


@pytest.mark.parametrize("syntax", ["", IMPLICIT, BIG])
@pytest.mark.parametrize(
    ("charset", "name", "part"),
    [
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう", "山田"),
        ("ISO_IR 192", "Müller^Jürgen", "Müller"),
        ("GB18030", "Wang^XiaoDong=王^小东", "小东"),
        ("ISO_IR 100", "Ñuñez^José", "José"),
    ],
)
def test_names_in_other_character_sets(syntax: str, charset, name: str, part: str) -> None:
    dataset = make_instance(SpecificCharacterSet=charset, PatientName=name)
    if syntax:
        dataset.file_meta.TransferSyntaxUID = syntax
    dataset.StudyDescription = f"axial {part} thorax"
    dataset.ConvolutionKernel = f"für {part}" if charset == "ISO_IR 192" else f"for {part}"
    content = encoded(dataset)
    before = dcmread(BytesIO(content))
    made, written, _ = run(content, Option.CLEAN_DESCRIPTORS, Option.RETAIN_INSTITUTION_IDENTITY)
    assert made.StudyDescription == "axial *** thorax"
    assert made.ConvolutionKernel.split()[1] == "***"
    assert made.SpecificCharacterSet == before.SpecificCharacterSet
    assert made.InstitutionName == "Mercy West"
    assert before["PatientName"].value.original_string.strip() not in written


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_values_that_are_not_valid() -> None:
    dataset = make_instance(StudyInstanceUID="1.2.3")
    dataset.StudyDate = "2023.08.17"
    dataset.SeriesDate = "17 August"
    dataset.AcquisitionDateTime = ["20230817101530", "20230818"]
    dataset.add_new(0x00081130, "UI", ["1.2.3.4", "1.2.3.5"])  # several where one is allowed
    dataset.add_new(0x00120064, "LO", "a method by Ruiz, where codes are")
    dataset.PatientAge = "old"
    made, written, _ = run(encoded(dataset), Option.RETAIN_MODIFIED_DATES)
    assert made.StudyDate == made.AcquisitionDateTime[0][:8] != "20230817"
    assert "SeriesDate" not in made
    assert len(made.AcquisitionDateTime) == 2
    assert made.DeidentificationMethodCodeSequence[0].CodeValue == "113100"
    assert b"Ruiz" not in written


def test_overlays_in_unused_bits_of_pixels() -> None:
    """They go with the attributes that describe them (PS3.3 C.9.2, until 2004)."""
    dataset = make_instance(PixelData=b"\xff\xff" * 64)
    del dataset[0x60003000]
    dataset.add_new(0x60000100, "US", 16)
    dataset.add_new(0x60000102, "US", 14)
    made, _, report = run(encoded(dataset))
    assert bytes(made.PixelData) == b"\xff\x0f" * 64
    assert 0x60000102 not in made
    assert report.sop_instance_uid == made.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = BIG
    assert bytes(run(encoded(dataset))[0].PixelData) == b"\x0f\xff" * 64
    dataset.file_meta.TransferSyntaxUID = RLE
    dataset.PixelData = encapsulate([bytes(100)])
    with pytest.raises(DeidentificationError, match="compressed"):
        run(encoded(dataset))


def test_identity_is_not_said_to_be_removed_where_it_is_burnt_in() -> None:
    """Patient Identity Removed (0012,0062) is about Pixel Data, too (PS3.3 C.7.1.1)."""
    dataset = make_instance(BurnedInAnnotation="YES")
    assert run(encoded(dataset), burned_in="flag")[0].PatientIdentityRemoved == "NO"


def test_attributes_that_only_items_have() -> None:
    """Dates of radiopharmaceuticals move with the others, which SUV depends on."""
    item = Dataset()
    item.RadiopharmaceuticalStartDateTime = "20230817093000"
    item.RadionuclideTotalDose = "370000000"
    dataset = make_instance(RadiopharmaceuticalInformationSequence=[item])
    made, _, _ = run(encoded(dataset), Option.RETAIN_MODIFIED_DATES)
    found = made.RadiopharmaceuticalInformationSequence[0]
    assert found.RadiopharmaceuticalStartDateTime == made.SeriesDate + "093000"
    assert found.RadionuclideTotalDose == 370000000


def test_elements_whose_length_is_wrong() -> None:
    """They have swallowed what follows, of which nobody sees the tags any more."""
    content = encoded(make_instance())
    code = content.index(b"CS\x06\0CHEST ")
    swallowed = bytearray(content)
    swallowed[code + 2 : code + 4] = (200).to_bytes(2, "little")
    number = bytearray(content)
    start = content.index(b"\x28\0\x01\x01US\x02\0")  # Bits Stored
    number[start + 6 : start + 8] = (len(content) - start - 8 - 180 & ~1).to_bytes(2, "little")
    for damaged in (swallowed, number):
        try:
            _, written, _ = run(bytes(damaged))
        except DeidentificationError:
            continue
        assert b"Ruiz" not in written


def test_what_follows_the_last_frame_is_wiped() -> None:
    made, _, _ = run(encoded(make_instance(PixelData=bytes(range(128)) + b"Ruiz^Marisol")))
    assert bytes(made.PixelData) == bytes(range(128)) + bytes(12)
    more = make_instance(PixelData=bytes(range(128)) * 2)  # Number of Frames is missing
    assert bytes(run(encoded(more))[0].PixelData) == bytes(range(128)) * 2


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_files_neither_pass_names_nor_break() -> None:
    """Whatever is wrong is refused, or goes; names that the dataset still tells do not pass."""
    content, chance, refused = encoded(make_instance()), random.Random(1), 0
    for _ in range(150):
        damaged = bytearray(content)
        where = chance.randrange(400, len(damaged) - 200)
        damaged[where : where + chance.randrange(3)] = chance.randbytes(chance.randrange(4))
        try:
            made, written, _ = run(bytes(damaged))
        except DeidentificationError:
            refused += 1
            continue
        intact = b"PN\x0c\0Ruiz^Marisol" in damaged[:1000] and b"Ruiz special" in damaged
        assert made.PatientIdentityRemoved == "YES"
        assert b"Ruiz^Marisol" not in written or not intact
    assert 0 < refused < 150
