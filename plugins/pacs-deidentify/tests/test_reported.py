"""What users of other programs have reported, tried on ours."""

from io import BytesIO

import pytest
from hypothesis import given, settings, strategies as st
from pacs_deidentify.codestreams import frame_editor
from pacs_deidentify.config import DeidentifyConfig, ProfileConfig
from pacs_deidentify.files import deidentify_file
from pacs_deidentify.leaks import find_leaks
from pacs_deidentify.options import Option
from pacs_deidentify.profile import Profile
from pacs_deidentify.profiles import problems_of
from pacs_deidentify.pseudonyms import Pseudonyms
from PIL import Image
from pydicom import dcmread
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames

from .samples import CT, SERIES, STUDY, make_instance

KEY = Pseudonyms(b"0123456789abcdef")
IMPLICIT, RLE = "1.2.840.10008.1.2", "1.2.840.10008.1.2.5"


def run(dataset: Dataset, *options: Option, **more) -> Dataset:
    """De-identify as a file, prove it, and read what was made."""
    source, target = BytesIO(), BytesIO()
    implicit = dataset.file_meta.TransferSyntaxUID == IMPLICIT
    dataset.save_as(source, implicit_vr=implicit, little_endian=True, enforce_file_format=True)
    profile = Profile(pseudonyms=KEY, options=frozenset(options), **more)
    report = deidentify_file(BytesIO(source.getvalue()), profile, lambda made: target)
    found = find_leaks(BytesIO(target.getvalue()), report.evidence, dates_move=profile.moves_dates)
    assert found.leaks == ()
    return dcmread(BytesIO(target.getvalue()))


def item(**more: object) -> Dataset:
    made = Dataset()
    for keyword, value in more.items():
        setattr(made, keyword, value)
    return made


def test_uids_of_items_are_not_those_of_the_dataset() -> None:
    """pydicom/deid #153 and #277: those of related series took the place of the dataset's own."""
    related = [item(StudyInstanceUID=f"{STUDY}.8", SeriesInstanceUID=f"{SERIES}.{n}") for n in "12"]
    made = run(make_instance(RelatedSeriesSequence=related))
    assert (made.StudyInstanceUID, made.SeriesInstanceUID) == (KEY.uid(STUDY), KEY.uid(SERIES))
    found = [(each.StudyInstanceUID, each.SeriesInstanceUID) for each in made.RelatedSeriesSequence]
    assert found == [(KEY.uid(f"{STUDY}.8"), KEY.uid(f"{SERIES}.{n}")) for n in "12"]


def test_private_blocks_in_functional_groups() -> None:
    """dcm4che #392: more than one block in the items of a multi-frame image ended it."""
    groups = []
    for number in range(20):
        group = item(FrameContentSequence=[item(FrameAcquisitionNumber=number)])
        for creator in ("ACME 1", "ACME 2", "ACME 3"):
            group.private_block(0x0029, creator, create=True).add_new(1, "LO", "Ruiz^Marisol")
            group.private_block(0x2005, creator, create=True).add_new(1, "LO", "Ruiz^Marisol")
        groups.append(group)
    made = run(make_instance(PerFrameFunctionalGroupsSequence=groups))
    for number, group in enumerate(made.PerFrameFunctionalGroupsSequence):
        assert [each.keyword for each in group] == ["FrameContentSequence"]
        assert group.FrameContentSequence[0].FrameAcquisitionNumber == number


def test_sequences_that_go_as_a_whole() -> None:
    """dcm4che #1313 and fo-dicom #610: these stayed, for they are sequences."""
    made = run(
        make_instance(
            InstitutionalDepartmentTypeCodeSequence=[item(CodeValue="1", CodeMeaning="Radiology")],
            OriginalAttributesSequence=[
                item(ModifiedAttributesSequence=[item(PatientName="Ruiz^Marisol")])
            ],
        )
    )
    assert "InstitutionalDepartmentTypeCodeSequence" not in made
    assert "OriginalAttributesSequence" not in made


def test_a_retired_sop_class() -> None:
    """nroduit/karnak #138: what depends on the Type was left as it was for a retired class."""
    retired = "1.2.840.10008.5.1.4.1.1.3"
    dataset = make_instance(SOPClassUID=retired, ContentDate="20230817", ContentTime="1015")
    dataset.file_meta.MediaStorageSOPClassUID = retired
    made = run(dataset)
    assert "20230817" not in str(made.ContentDate)
    assert made.ContentTime != "1015"


@pytest.mark.filterwarnings("ignore:Invalid value for VR DT")
@pytest.mark.parametrize(
    ("given", "moved"),
    [
        ("20201201093456+1100", "093456+1100"),
        ("20201201093456.123456+1100", "093456.123456+1100"),
        ("20201201093456.1234567891", "093456.1234567891"),
        ("20201201093456.2020120109", ""),
        ("202012", ""),
        ("20201301", ""),
        ("99999999999999999999", ""),
        ("unknown", ""),
    ],
)
def test_dates_and_times_in_unusual_forms(given: str, moved: str) -> None:
    """pymedphys #1246, openradx/adit #286, SmiServices #1561: offsets, digits, and no dates."""
    dataset = make_instance(StudyDate="20201201")
    dataset[0x0008002A] = DataElement(0x0008002A, "DT", given, validation_mode=IGNORE)
    made = run(dataset, Option.RETAIN_MODIFIED_DATES)
    text = str(made.get("AcquisitionDateTime", ""))
    assert text == (f"{made.StudyDate}{moved}" if moved else text)
    assert given[:6] not in text


def test_a_fragment_that_has_the_end_of_pixels_in_it() -> None:
    """blairconrad/dicognito #96: pixels were cut where the bytes of a delimiter stood."""
    dataset = make_instance()
    dataset.file_meta.TransferSyntaxUID = RLE
    fragment = b"12\xfe\xff\xdd\xe0\0\0\0\x0034\xfe\xff\x00\xe0\1\0\0\x0056"
    dataset.PixelData = encapsulate([fragment])
    dataset["PixelData"].is_undefined_length = True
    before = dataset.PixelData
    assert run(dataset).PixelData == before


@pytest.mark.parametrize("form", ["JPEG", "JPEG2000"])
def test_comments_in_compressed_pixels(form: str) -> None:
    """They are read by nobody but by who looks for them, and every pixel stays as it was."""
    picture, buffer = Image.radial_gradient("L").resize((64, 64)), BytesIO()
    comment = b"Ruiz^Marisol MRN-77120"
    if form == "JPEG":
        exif = Image.Exif()
        exif[0x013B] = "Okonkwo^Ada"  # Artist
        picture.save(buffer, form, comment=comment, exif=exif)
        syntax = "1.2.840.10008.1.2.4.50"
    else:
        picture.save(buffer, form, comment=comment, no_jp2=True)
        syntax = "1.2.840.10008.1.2.4.90"
    assert comment in buffer.getvalue()
    dataset = make_instance(Rows=64, Columns=64, BitsAllocated=8, BitsStored=8, HighBit=7)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([buffer.getvalue()])
    dataset["PixelData"].is_undefined_length = True
    made = run(dataset)
    (frame,) = generate_frames(made.PixelData, number_of_frames=1)
    assert [each for each in (b"Ruiz", b"77120", b"Okonkwo") if each in frame] == []
    assert len(made.PixelData) == len(dataset.PixelData)
    assert Image.open(BytesIO(frame)).tobytes() == Image.open(buffer).tobytes()


@settings(max_examples=300)
@given(
    st.lists(st.binary(max_size=90), max_size=4),
    st.sampled_from([b"\xff\xd8", b"\xff\x4f", b"\0\0\0\x0cJXL ", b"\0\0\0\x08ftyp", b""]),
    st.booleans(),
)
def test_any_fragments_keep_their_lengths(pieces: list[bytes], start: bytes, ends: bool) -> None:
    editor, data = frame_editor(), [start, *pieces, b"\xff"]
    made = b"".join(editor.feed(piece, ends=ends or piece is data[-1]) for piece in data)
    assert len(made) == len(b"".join(data))


def test_private_attributes_of_implicit_files() -> None:
    """dicognito #118 and fo-dicom #771: other VRs than known ones, and sequences, ended it."""
    dataset = make_instance()
    dataset.file_meta.TransferSyntaxUID = IMPLICIT
    mitra = dataset.private_block(0x0031, "MITRA LINKED ATTRIBUTES 1.0", create=True)
    mitra.add_new(0x20, "LO", "MRN-77120")
    nested = dataset.private_block(0x0011, "ACME SEQ", create=True)
    # It is UN for who reads it, and not looked into: what has a name in it goes.
    nested.add_new(1, "SQ", [item(PatientName="Ruiz^Marisol", KVP="120")])
    nested.add_new(2, "SQ", [item(PatientComments="for Ruiz", KVP="120")])
    nested.add_new(3, "SQ", [item(KVP="120")])
    made = run(
        dataset, Option.RETAIN_SAFE_PRIVATE,
        safe_private=frozenset({
            ("ACME SEQ", 0x11, 1), ("ACME SEQ", 0x11, 2), ("ACME SEQ", 0x11, 3),
            ("MITRA LINKED ATTRIBUTES 1.0", 0x31, 0x20),
        }),
    )  # fmt: skip
    assert "MRN-77120" not in str(made)
    block = made.private_block(0x0011, "ACME SEQ")
    assert [number for number in (1, 2, 3) if number in block] == [3]


def test_codes_of_the_options() -> None:
    """dcm4che #967: Retain Safe Private had another's code (PS3.16 CID 7050)."""
    made = run(make_instance(), Option.RETAIN_SAFE_PRIVATE)
    codes = [each.CodeValue for each in made.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113111"]
    assert made.SOPClassUID == CT


def test_a_private_attribute_that_is_to_be_removed() -> None:
    """KitwareMedical/dicom-anonymizer #10: what is asked for private tags has to be done, or named.

    An attribute that the standard knows to be safe is removed where a site says so; one is kept by
    its creator, for another creator may have the same tag in another file (PS3.5 §7.8.1).
    """
    safe = Option.RETAIN_SAFE_PRIVATE
    kept = run(make_instance(), safe)
    assert kept[0x0019, 0x1023].value == 1.25
    made = run(make_instance(), safe, remove=frozenset({0x00191023}))
    assert (0x0019, 0x1023) not in made
    assert (0x0019, 0x1024) in made
    config = DeidentifyConfig(profiles={"mine": ProfileConfig(keep=("00191099",))})
    (problem,) = problems_of(config, {})
    assert "00191099 is private" in problem
    assert "safe_private" in problem


def test_what_was_done_before_is_still_said() -> None:
    """dicognito #42: a second step adds to what a first one said (PS3.3 C.7.1.1)."""
    first = run(make_instance(DeidentificationMethod="by hand"), Option.RETAIN_MODIFIED_DATES)
    first.file_meta.MediaStorageSOPInstanceUID = first.SOPInstanceUID
    again = run(first, Option.RETAIN_FULL_DATES)
    codes = [each.CodeValue for each in again.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113107", "113106"]
    methods = list(again.DeidentificationMethod)
    assert methods[0] == "by hand"
    assert len(set(methods)) == len(methods) == 5
    assert again.StudyDate == first.StudyDate
    # Dates that were moved once are no unmodified ones, and those that went do not come back.
    assert again.LongitudinalTemporalInformationModified == "MODIFIED"
    removed = run(run(make_instance()), Option.RETAIN_FULL_DATES)
    assert removed.LongitudinalTemporalInformationModified == "REMOVED"
