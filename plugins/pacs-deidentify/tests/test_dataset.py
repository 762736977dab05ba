"""De-identification of datasets: Table E.1-1 and its options, without files."""

from collections import Counter
from copy import deepcopy
from io import BytesIO

import pytest
from hypothesis import given, settings, strategies as st
from pacs_deidentify.actions import Action, choose
from pacs_deidentify.deidentify import deidentify
from pacs_deidentify.errors import DeidentificationError
from pacs_deidentify.evidence import gather_evidence
from pacs_deidentify.options import METHOD_CODES, Option
from pacs_deidentify.profile import Profile
from pacs_deidentify.pseudonyms import Pseudonyms
from pacs_deidentify.regions import Region, RegionRule
from pacs_deidentify.tables import load_profile, load_types
from pacs_deidentify.temporal import shift_date
from pacs_deidentify.text import TextCleaner
from pydicom import dcmread
from pydicom.dataset import Dataset

from .samples import CT, INSTANCE, SECRETS, SERIES, STUDY, make_instance, make_report

KEY = Pseudonyms(b"0123456789abcdef")
EXCLUSIVE = {Option.RETAIN_FULL_DATES, Option.RETAIN_MODIFIED_DATES}
NEED_RULES = {Option.CLEAN_VISUAL_FEATURES, Option.CLEAN_PIXEL_DATA}
KEPT = {
    Option.RETAIN_UIDS: {STUDY, INSTANCE, "1.2.826.99.77"},
    Option.RETAIN_INSTITUTION_IDENTITY: {"Mercy West"},
    Option.RETAIN_DEVICE_IDENTITY: {"CTSCANNER9", "4711-0815"},
    Option.RETAIN_FULL_DATES: set(),
}
"""Secrets that an option keeps."""


def profile(*options: Option, **more) -> Profile:
    return Profile(pseudonyms=KEY, options=frozenset(options), **more)


def run(dataset: Dataset, *options: Option, **more) -> Dataset:
    return deidentify(dataset, profile(*options, **more))[0]


def encoded(dataset: Dataset) -> bytes:
    buffer = BytesIO()
    dataset.save_as(buffer, implicit_vr=False, little_endian=True)
    return buffer.getvalue()


def leaked(dataset: Dataset, *options: Option) -> list[str]:
    content = encoded(dataset).lower()
    kept = {secret for option in options for secret in KEPT.get(option, ())}
    return [text for text in SECRETS if text not in kept and text.lower().encode() in content]


@settings(max_examples=15, deadline=None)
@given(st.sets(st.sampled_from(sorted(set(Option) - NEED_RULES))), st.booleans())
def test_no_option_lets_anything_out_but_what_it_retains(options: set[Option], tree: bool) -> None:
    if options >= EXCLUSIVE:
        options.discard(Option.RETAIN_FULL_DATES)
    dataset = make_report() if tree else make_instance()
    before = encoded(dataset)
    made, report = deidentify(dataset, profile(*options))
    allowed = {"ward 7"} if Option.CLEAN_DESCRIPTORS in options else set()
    assert set(leaked(made, *options)) <= allowed
    assert encoded(dataset) == before
    assert [item.CodeValue for item in made.DeidentificationMethodCodeSequence] == [
        "113100", *sorted(METHOD_CODES[option].value for option in options)
    ]  # fmt: skip
    assert report.sop_instance_uid == made.SOPInstanceUID
    assert (made.SOPInstanceUID == INSTANCE) == (Option.RETAIN_UIDS in options)
    # What was made can be read again, and says the same.
    again = dcmread(BytesIO(encoded(made)), force=True)
    assert again.PatientIdentityRemoved == "YES"


def test_basic_profile() -> None:
    made = run(make_instance())
    assert "PatientAge" not in made
    assert made.PatientBirthDate == made.AccessionNumber == made.PatientSex == ""
    assert made.StudyDate == made.ReferringPhysicianName == ""
    assert made.PatientID == made.PatientName != ""
    assert made.LongitudinalTemporalInformationModified == "REMOVED"
    assert (made.KVP, made.BodyPartExamined, made.Modality) == (120, "CHEST", "CT")
    assert "ReferencedImageSequence" not in made  # Type 3 in CT Image
    assert not [e for e in made if e.tag.is_private or e.tag.group in {0x5000, 0x6000}]
    assert 0xFFFCFFFC not in made
    assert "IconImageSequence" not in made
    assert bytes(made.PixelData) == bytes(range(128))
    assert made.ConvolutionKernel == "for ***"


def test_uids_are_the_same_in_each_run_and_under_no_other_key() -> None:
    first, second = run(make_instance()), run(make_instance(InstanceNumber="2"))
    assert first.StudyInstanceUID == second.StudyInstanceUID != STUDY
    assert first.StudyInstanceUID.startswith("2.25.")
    assert len({first.StudyInstanceUID, first.SeriesInstanceUID, first.SOPInstanceUID}) == 3
    other = deidentify(make_instance(), Profile(pseudonyms=Pseudonyms(b"f" * 16)))[0]
    assert other.SOPInstanceUID != first.SOPInstanceUID
    assert other.PatientID != first.PatientID
    assert first.SOPClassUID == CT


def test_references_follow_the_uids() -> None:
    """A reference of an image of Type 1, X/Z/U*: its UIDs are replaced, not it."""
    dataset = make_instance(SOPClassUID="1.2.840.10008.5.1.4.1.1.12.1")  # XA
    made = run(dataset)
    assert made.ReferencedImageSequence[0].ReferencedSOPInstanceUID == KEY.uid("1.2.826.99.77")
    kept = run(make_instance(), Option.RETAIN_UIDS)
    assert kept.ReferencedImageSequence[0].ReferencedSOPInstanceUID == "1.2.826.99.77"


def test_uids_in_text_become_those_that_replace_them() -> None:
    made = run(make_instance(), Option.CLEAN_DESCRIPTORS)
    assert made.ProtocolName == f"chest {made.SOPInstanceUID}"[:64]


def test_dates_move_together() -> None:
    made = run(make_instance(), Option.RETAIN_MODIFIED_DATES)
    again = run(make_instance(StudyDate="20230820"), Option.RETAIN_MODIFIED_DATES)
    assert made.StudyDate == made.SeriesDate == made.AcquisitionDateTime[:8] != "20230817"
    assert made.AcquisitionDateTime[8:] == "101530.5+0100"
    assert shift_date(made.StudyDate, 3) == again.StudyDate
    assert made.PatientBirthDate == ""
    assert made.LongitudinalTemporalInformationModified == "MODIFIED"
    full = run(make_instance(), Option.RETAIN_FULL_DATES)
    assert (full.StudyDate, full.PatientBirthDate) == ("20230817", "")
    assert full.LongitudinalTemporalInformationModified == "UNMODIFIED"


@pytest.mark.filterwarnings("ignore:Invalid value")
@pytest.mark.parametrize("value", ["20230817-20230818", "2023.08.17 20230818", "20230817x"])
def test_a_date_with_more_than_a_day_does_not_move(value: str) -> None:
    """What follows would stay, and tell by how much the days have moved."""
    given = make_instance(DischargeDate=value, StudyDate="20230817")
    made = run(given, Option.RETAIN_MODIFIED_DATES)
    assert "DischargeDate" not in made
    assert "20230818" not in encoded(made).decode("latin-1")


@pytest.mark.filterwarnings("ignore:Invalid value")
@pytest.mark.parametrize("value", ["20230817101500", "20230817", "2023-08-17", "101500-120000"])
def test_a_time_with_a_date_does_not_stay(value: str) -> None:
    """Some devices write a date and time, which would tell by how much dates have moved."""
    made = run(make_instance(DischargeTime=value, StudyTime=value), Option.RETAIN_MODIFIED_DATES)
    assert ("DischargeTime" in made, made.StudyTime) == (False, "")
    kept = make_instance(StudyTime="10:15", DischargeTime=["101500", "101501.25"])
    made = run(kept, Option.RETAIN_MODIFIED_DATES)
    assert (made.StudyTime, made.DischargeTime) == ("10:15", ["101500", "101501.25"])


def test_the_proof_knows_both_days_of_a_range() -> None:
    evidence = gather_evidence(make_instance(DischargeDate="20230817-20230818"), ())
    assert {"20230817", "18.08.2023"} <= evidence.dates()


def test_dates_of_devices() -> None:
    """They stay with the device, but move where others move: else they would tell by how much."""
    given = make_instance(DateOfLastCalibration=["20230810", "20230817"])
    kept = run(given, Option.RETAIN_DEVICE_IDENTITY)
    assert kept.DateOfLastCalibration == ["20230810", "20230817"]  # the day of the study, too
    both = run(given, Option.RETAIN_DEVICE_IDENTITY, Option.RETAIN_MODIFIED_DATES)
    assert both.DateOfLastCalibration[1] == both.StudyDate != "20230817"
    assert "DateOfLastCalibration" not in run(given)


def test_each_patient_has_a_shift_of_his_own() -> None:
    shifts: dict[str, set[str]] = {}
    for number in range(20):
        for study in range(2):
            given = make_instance(PatientID=f"P{number}", StudyInstanceUID=f"{STUDY}.{study}")
            made = run(given, Option.RETAIN_MODIFIED_DATES)
            shifts.setdefault(f"P{number}", set()).add(made.StudyDate)
    assert {len(dates) for dates in shifts.values()} == {1}
    assert len(set.union(*shifts.values())) > 15  # of ten years


def test_each_retaining_option_keeps_its_attributes() -> None:
    assert run(make_instance(), Option.RETAIN_INSTITUTION_IDENTITY).InstitutionName == "Mercy West"
    device = run(make_instance(), Option.RETAIN_DEVICE_IDENTITY)
    assert (device.StationName, device.DeviceSerialNumber) == ("CTSCANNER9", "4711-0815")
    patient = run(make_instance(), Option.RETAIN_PATIENT_CHARACTERISTICS)
    assert (patient.PatientSex, patient.PatientAge) == ("F", "062Y")
    safe = run(make_instance(), Option.RETAIN_SAFE_PRIVATE)
    block = safe.private_block(0x0019, "GEMS_ACQU_01")
    assert (block[0x23].value, block[0x24].value, 0x99 in block) == (1.25, 7.5, False)
    assert not [element for element in safe if element.tag.group == 0x0029]
    own = run(
        make_instance(), Option.RETAIN_SAFE_PRIVATE, safe_private=frozenset({("ACME 1", 0x29, 2)})
    )
    assert own.private_block(0x0029, "ACME 1")[2].value[0].PatientName == KEY.identifier(
        "patient", "MRN-77120"
    )


def test_retaining_options_clean_what_the_table_says() -> None:
    """Titles of applications may name an institution, text a person (PS3.15 Table E.1-1)."""
    given = make_instance(StationAETitle="MERCY_WEST", NetworkID="net-9", RetrieveAETitle="A\\CT1")
    made = run(given, Option.RETAIN_DEVICE_IDENTITY)
    assert (made.StationAETitle, made.RetrieveAETitle) == ("***", ["A", "CT1"])
    assert made.NetworkID == "net-9"
    both = run(given, Option.RETAIN_DEVICE_IDENTITY, Option.RETAIN_INSTITUTION_IDENTITY)
    assert both.StationAETitle == "MERCY_WEST"
    assert "StationAETitle" not in run(given)
    needs = make_instance(SpecialNeeds="interpreter for Ruiz", PreMedication="none")
    patient = run(needs, Option.RETAIN_PATIENT_CHARACTERISTICS)
    assert (patient.SpecialNeeds, patient.PreMedication) == ("interpreter for ***", "none")


def test_structured_content_is_cleaned_or_replaced() -> None:
    made = run(make_report(), Option.CLEAN_STRUCTURED_CONTENT)
    text, name, date, uid = (item.ContentSequence[0] for item in made.ContentSequence)
    assert text.TextValue.startswith("Nodule seen in ***")
    assert name.PersonName == "ANONYMIZED"
    assert date.Date == "19000101"
    assert made.SOPInstanceUID == uid.UID
    gone = run(make_report())
    assert [item.TextValue for item in gone.ContentSequence] == ["ANONYMIZED"]


def test_graphics() -> None:
    dataset = make_instance()
    dataset[0x60000040].value = "R"
    made = run(dataset, Option.CLEAN_GRAPHICS)
    assert made[0x60003000].value == bytes(8)
    assert "Okonkwo" not in made[0x60000022].value
    annotation, text = Dataset(), Dataset()
    text.UnformattedTextValue = "Ruiz, born 23.04.1961"
    annotation.GraphicLayer, annotation.TextObjectSequence = "L", [text]
    made = run(make_instance(GraphicAnnotationSequence=[annotation]), Option.CLEAN_GRAPHICS)
    objects = made.GraphicAnnotationSequence[0].TextObjectSequence
    assert "Ruiz" not in objects[0].UnformattedTextValue
    made = run(make_instance(GraphicAnnotationSequence=[annotation]))
    objects = made.GraphicAnnotationSequence[0].TextObjectSequence
    assert objects[0].UnformattedTextValue == "ANONYMIZED"


def test_encapsulated_document_is_replaced() -> None:
    dataset = make_instance(MIMETypeOfEncapsulatedDocument="application/pdf")
    dataset.EncapsulatedDocument, dataset.DocumentTitle = b"%PDF-1.4 Ruiz", "Letter to Ruiz"
    made = run(dataset)
    assert made.EncapsulatedDocument.startswith(b"%PDF-")
    assert b"Ruiz" not in made.EncapsulatedDocument
    assert made.EncapsulatedDocumentLength == len(made.EncapsulatedDocument)


def test_burnt_in_text_is_refused_flagged_or_blanked() -> None:
    dataset = make_instance(BurnedInAnnotation="YES")
    with pytest.raises(DeidentificationError, match="burnt in"):
        run(dataset)
    _, report = deidentify(dataset, profile(burned_in="flag"))
    assert report.warnings
    with pytest.raises(DeidentificationError, match="no rule"):
        run(dataset, Option.CLEAN_PIXEL_DATA)
    rule = RegionRule(manufacturer="acme", rows=8, regions=(Region(-2, 6, 5, 20),))
    made = run(dataset, Option.CLEAN_PIXEL_DATA, regions=(rule,))
    expected = bytearray(range(128))
    expected[96:102] = expected[112:118] = bytes(6)
    assert (bytes(made.PixelData), made.BurnedInAnnotation) == (bytes(expected), "NO")


def test_faces() -> None:
    """Refused, unless the image or a rule for its device says that there are none (E.3.2)."""
    head = make_instance(BodyPartExamined="HEAD")
    with pytest.raises(DeidentificationError, match="face"):
        run(head, Option.CLEAN_VISUAL_FEATURES)
    rule = RegionRule(manufacturer="acme", no_faces=True)
    for made in (
        run(make_instance(), Option.CLEAN_VISUAL_FEATURES),
        run(head, Option.CLEAN_VISUAL_FEATURES, regions=(rule,)),
        run(
            make_instance(BodyPartExamined="HEAD", RecognizableVisualFeatures="NO"),
            Option.CLEAN_VISUAL_FEATURES,
        ),
    ):
        assert made.RecognizableVisualFeatures == "NO"
        assert made.DeidentificationMethodCodeSequence[-1].CodeValue == "113102"
    assert "RecognizableVisualFeatures" not in run(make_instance())


def test_all_outside_ultrasound_regions_is_blanked() -> None:
    shown = Dataset()
    shown.RegionLocationMinX0, shown.RegionLocationMinY0 = 2, 1
    shown.RegionLocationMaxX1, shown.RegionLocationMaxY1 = 5, 6
    dataset = make_instance(SequenceOfUltrasoundRegions=[shown], PhotometricInterpretation="RGB")
    dataset.SamplesPerPixel, dataset.PlanarConfiguration, dataset.NumberOfFrames = 3, 1, 2
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelData = b"\xff" * (8 * 8 * 3 * 2)
    rule = RegionRule(outside_ultrasound_regions=True)
    made = run(dataset, Option.CLEAN_PIXEL_DATA, regions=(rule,))
    plane = b"".join(b"\0\0\xff\xff\xff\xff\0\0" if 1 <= row <= 6 else bytes(8) for row in range(8))
    assert bytes(made.PixelData) == plane * 6


def test_what_is_damaged_or_unknown_goes() -> None:
    dataset = make_instance()
    dataset.add_new(0x00090002, "LO", "private without creator: Ruiz")
    dataset.add_new(0x0008FFF0, "LO", "Ruiz")  # no attribute of the standard
    dataset.add_new(0x00081111, "LO", "Ruiz")  # a sequence that is none
    dataset.add_new(0x00280010, "LO", "Ruiz")  # Rows that are text
    assert leaked(run(dataset)) == []


def test_custom_keep_and_remove() -> None:
    made = run(make_instance(), keep=frozenset({0x00081030}), remove=frozenset({0x00180060}))
    assert made.StudyDescription == "CT chest for Ruiz, MRN-77120"
    assert "KVP" not in made


def test_options_that_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="exclude each other"):
        profile(*EXCLUSIVE)
    with pytest.raises(ValueError):
        Pseudonyms(b"short")


@pytest.mark.parametrize(
    ("code", "tag", "parent", "action"),
    [
        ("X/Z/D", 0x00080080, 0, Action.REMOVE),  # Type 3
        ("X/Z/D", 0x00080080, 0x0040A078, Action.EMPTY),  # Type 2
        ("X/Z/D", 0x00080080, 0x00081049, Action.DUMMY),  # Type 1
        ("Z", 0x00080020, 0, Action.EMPTY),
        ("Z/D", 0x00080022, 0x00081111, Action.DUMMY),  # not there in the standard
        ("X", 0x00081030, 0, Action.REMOVE),
    ],
)
def test_actions_by_type(code: str, tag: int, parent: int, action: Action) -> None:
    assert choose(code, tag, parent, CT) is action


def test_tables_are_whole() -> None:
    table = load_profile()
    assert table.edition == "2026c"
    assert len(table.rows) + len(table.repeating) == 655
    assert len(load_types()) > 200
    for tag, row in table.rows.items():
        assert choose(row.basic, tag, 0, CT) in Action
    for tag in (0x50000010, 0x501E3000, 0x60003000, 0x60024000):
        found = table.find(tag)
        assert found
        assert found.basic == "X"
    assert table.find(0x60000010) is None


def test_columns_of_options() -> None:
    """As many of each as the edition has, and the rows in which it departs from its own rules."""
    table = load_profile()
    rows = [*table.rows.values(), *(row for *_, row in table.repeating)]
    counts = Counter(item for row in rows for item in row.options.items())
    assert counts == {
        (Option.RETAIN_UIDS, "K"): 60,
        (Option.RETAIN_DEVICE_IDENTITY, "K"): 48,
        (Option.RETAIN_DEVICE_IDENTITY, "C"): 11,
        (Option.RETAIN_INSTITUTION_IDENTITY, "K"): 10,
        (Option.RETAIN_PATIENT_CHARACTERISTICS, "K"): 14,
        (Option.RETAIN_PATIENT_CHARACTERISTICS, "C"): 5,
        (Option.RETAIN_FULL_DATES, "K"): 169,
        (Option.RETAIN_MODIFIED_DATES, "C"): 169,
        (Option.CLEAN_DESCRIPTORS, "C"): 140,
        (Option.CLEAN_STRUCTURED_CONTENT, "C"): 4,
        (Option.CLEAN_GRAPHICS, "C"): 4,
    }
    assert table.rows[0x0040_A124].options == {}  # UID, within structured content
    assert table.rows[0x0400_0100].options == {}  # Digital Signature UID
    assert table.rows[0x0400_0564].options == {Option.RETAIN_INSTITUTION_IDENTITY: "K"}
    assert table.rows[0x0070_0006].options == {Option.CLEAN_DESCRIPTORS: "C"}


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=40), st.lists(st.from_regex(r"[A-Za-z]{3,8}", fullmatch=True), max_size=4))
def test_cleaned_text_has_no_identifier(text: str, words: list[str]) -> None:
    cleaner = TextCleaner(words, KEY.uid)
    mixed = " ".join([text, *words, text])
    for clean in (cleaner.sweep, cleaner.clean):
        assert not set(words) & set(clean(mixed).split())
        assert clean("axial 5 mm, L3/L4 T2w 120 kV") == "axial 5 mm, L3/L4 T2w 120 kV" or words


@pytest.mark.parametrize(
    "text",
    [
        "{uid}",
        "Ruiz {uid} Ruiz",
        "{uid}Ruiz",
        "Ruiz{uid}",
        "x{uid}.7",
        "{uid}\\{uid}",
        "{uid} 4711{uid}",
    ],
)
def test_uids_and_names_are_taken_out_wherever_they_touch(text: str) -> None:
    uid, other = "1.2.840.99.1.4711", "1.2.840.99.1.47110"
    cleaner = TextCleaner([uid, "Ruiz", "4711"], lambda found: "2.25.1")
    cleaned = cleaner.sweep(text.format(uid=uid))
    assert uid not in cleaned
    assert "ruiz" not in cleaned.lower()
    assert cleaner.holds(text.format(uid=uid).encode(), len(uid))
    assert not cleaner.holds(other.encode(), len(uid))


def test_time_to_clean_grows_with_the_text_only() -> None:
    cleaner = TextCleaner(["Ruiz"], KEY.uid)
    for piece in ("a", "a-", "1.", "12 ", "Dr ", "a@", "1-2-", "Name:"):
        cleaner.clean(piece * 5_000)


def test_a_copy_is_made_of_nested_items() -> None:
    dataset = make_report()
    before = deepcopy(dataset)
    run(dataset, Option.CLEAN_STRUCTURED_CONTENT)
    assert dataset == before
    assert dataset.SeriesInstanceUID == SERIES


def test_codes_of_public_schemes_stay_in_structured_content() -> None:
    """A Code Value is a number as long as an identifier; it is taken out if it is a known one."""
    report, codes = make_report(), []
    for value, scheme in (
        ("121033", "DCM"), ("MRN-77120", "DCM"), ("12345678", "99ACME"), ("77120345", "SCT"),
    ):  # fmt: skip
        code, item = Dataset(), Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, "Concept"
        code.CodingSchemeVersion = "20240301"
        item.RelationshipType, item.ValueType = "CONTAINS", "CODE"
        item.ConceptNameCodeSequence = item.ConceptCodeSequence = [code]
        codes.append(item)
    report.ContentSequence = codes
    made = run(report, Option.CLEAN_STRUCTURED_CONTENT).ContentSequence
    names = [item.ConceptNameCodeSequence[0] for item in made]
    assert [name.CodeValue for name in names] == ["121033", "***", "***", "77120345"]
    assert [name.CodingSchemeVersion for name in names] == [
        "20240301",
        "20240301",
        "***",
        "20240301",
    ]
