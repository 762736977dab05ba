"""``pacs validate``: each rule by a file that breaks it, and findings beside those of dciodvfy."""

import json
import os
import re
import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from pacs_tools.validation.conditions import Scope, describe, holds
from pacs_tools.validation.tables import attributes_of, find_iod
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import JPEGBaseline8Bit, generate_uid

from pacs_core.api.commands import main
from pacs_core.api.file_commands import NOTHING

FOLDER = Path(get_testdata_file("CT_small.dcm")).parent
CT, SR = FOLDER / "CT_small.dcm", FOLDER / "reportsi.dcm"
RGB, J2K = FOLDER / "SC_rgb_small_odd.dcm", FOLDER / "JPEG2000.dcm"
MR = FOLDER / "MR_small.dcm"
JPEG = FOLDER / "SC_rgb_jpeg_dcmtk.dcm"


@pytest.fixture
def run(run):
    return partial(run, "validate")


@pytest.fixture
def findings(run):
    """What is found in a file: (level, rule, attribute, text)."""

    def find(path):
        code, out, err = run("--json", path)
        assert err == ""
        found = {
            (each["level"], each["rule"], each["attribute"], each["text"])
            for each in json.loads(out)["findings"]
        }
        assert code == any(level == "error" for level, *_ in found)
        return found

    return find


def _drop(keyword):
    return lambda dataset: delattr(dataset, keyword)


def _give(keyword, value):
    return lambda dataset: setattr(dataset, keyword, value)


def _raw(tag, vr, value):
    def change(dataset):
        from pydicom.dataelem import DataElement

        dataset[tag] = DataElement(tag, vr, value, validation_mode=0)

    return change


def _two_items(dataset):
    dataset.AnatomicRegionSequence = [Dataset(), Dataset()]
    for item in dataset.AnatomicRegionSequence:
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "1", "99X", "x"


def _latin_1_in_utf_8(dataset):
    dataset.SpecificCharacterSet = "ISO_IR 192"
    _raw("PatientComments", "LT", b"\xe4")(dataset)


def _inverted(dataset):
    dataset.ScanningSequence = ["SE", "IR"]
    dataset.pop("InversionTime", None)


BROKEN = [
    (MR, _inverted, "type", "InversionTime", "since ScanningSequence has IR"),
    (MR, _give("ScanOptions", ["FC", "PPG"]), "type", "TriggerTime", "has CG or PPG"),
    (CT, _give("ExtendedOffsetTable", bytes(8)), "type", "ExtendedOffsetTableLengths",
     "since ExtendedOffsetTable is present"),
    (CT, _drop("PatientID"), "type", "PatientID", "is absent, but Type 2 in Patient"),
    (CT, _give("StudyInstanceUID", ""), "type", "StudyInstanceUID", "is empty, but Type 1"),
    (CT, _give("PatientSex", "X"), "value", "PatientSex", "is 'X', not one of M, F, O"),
    (CT, _raw("StudyDate", "DA", "20261332"), "vr", "StudyDate", "'20261332' is no DA"),
    (CT, _raw("Modality", "CS", "ct"), "vr", "Modality", "'ct' is no CS"),
    (CT, _raw("StudyInstanceUID", "UI", "1.02.3"), "uid", "StudyInstanceUID", "'1.02.3' is no UI"),
    (CT, _raw("PatientName", "PN", "a^b^c^d^e^f"), "vr", "PatientName", "is no PN"),
    (CT, _raw("Rows", "SS", 128), "vr", "Rows", "has VR SS, not US"),
    (CT, _give("PixelSpacing", ["1", "1", "1"]), "vm", "PixelSpacing", "has 3 values, not 2"),
    (CT, _give("SpecificCharacterSet", "ISO_IR 9"), "charset", "SpecificCharacterSet", "names no"),
    (CT, _latin_1_in_utf_8, "charset", "PatientComments", "mean nothing in"),
    (CT, _give("PixelData", bytes(100)), "pixels", "PixelData", "fewer than the 32768"),
    (CT, _give("BitsStored", 20), "pixels", "PixelData", "BitsStored is 20, more than"),
    (CT, _two_items, "type", "AnatomicRegionSequence", "has 2 items, but may have one only"),
    (RGB, _drop("PlanarConfiguration"), "type", "PlanarConfiguration",
     "since SamplesPerPixel is greater than 1"),
    (SR, _drop("ContinuityOfContent"), "type", "ContinuityOfContent",
     "since ValueType is CONTAINER"),
    (J2K, _give("Rows", 1000), "codestream", "PixelData",
     "frame 1: Rows is 1000, but 1024 in the codestream"),
    (J2K, _give("BitsAllocated", 8), "pixels", "PixelData", "BitsStored"),
    (J2K, _give("NumberOfFrames", 2), "pixels", "PixelData", "1 frames"),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:Unknown encoding")
@pytest.mark.parametrize(
    ("source", "change", "rule", "attribute", "text"),
    BROKEN,
    ids=[f"{c[2]}-{c[3]}-{n}" for n, c in enumerate(BROKEN)],
)
def test_what_is_broken_is_named_and_was_not_found_before(
    findings, tmp_path, source, change, rule, attribute, text
):
    def matching(path):
        return [f for f in findings(path) if f[:3] == ("error", rule, attribute) and text in f[3]]

    dataset = dcmread(source)
    assert not matching(source)
    change(dataset)
    dataset.save_as(tmp_path / "broken.dcm", enforce_file_format=False)
    assert len(matching(tmp_path / "broken.dcm")) == 1


def test_one_of_two_has_a_side(findings, tmp_path):
    """PS3.3 C.7.3.1.1.2: Laterality, of which the image may say itself (PS3.16 Annex L)."""

    def find(**attributes):
        dataset = dcmread(CT)
        del dataset.Laterality
        for keyword, value in attributes.items():
            setattr(dataset, keyword, value)
        dataset.save_as(tmp_path / "a.dcm")
        return {f[2] for f in findings(tmp_path / "a.dcm") if "Laterality" in f[2]}

    assert find(BodyPartExamined="KNEE") == {"Laterality"}
    assert find(BodyPartExamined="CHEST") == set()
    assert find(BodyPartExamined="KNEE", Laterality="") == set()
    assert "Laterality" not in find(BodyPartExamined="KNEE", ImageLaterality="R")


def test_images_without_planes_say_how_the_patient_lies(findings, tmp_path):
    """PS3.3 C.7.6.1: not those that have an Image Plane Module, as CT has."""
    for source, expected in ((RGB, True), (CT, False)):
        dataset = dcmread(source)
        for keyword in ("PatientOrientation", "ImageOrientationPatient"):
            dataset.pop(keyword, None)
        dataset.save_as(tmp_path / "a.dcm")
        found = {f[2] for f in findings(tmp_path / "a.dcm")}
        assert ("PatientOrientation" in found) is expected


def test_vectors_that_are_pointed_at_are_there(findings, tmp_path):
    """PS3.3 C.8.4.8: NM Multi-frame Module."""
    dataset = dcmread(CT)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.20"
    dataset.FrameIncrementPointer = [0x00540010, 0x00540080]
    dataset.save_as(tmp_path / "a.dcm")
    found = {each[2] for each in findings(tmp_path / "a.dcm") if each[1] == "type"}
    assert {"EnergyWindowVector", "SliceVector", "NumberOfSlices"} <= found
    assert not {"DetectorVector", "NumberOfPhases"} & found


def test_good_files_have_no_errors(run, findings):
    assert findings(CT) == set()
    code, out, err = run(
        CT, SR, J2K.with_name("examples_overlay.dcm"), "--errors-only", "-i", "type"
    )
    assert (code, err) == (1, "")  # UIDs "0" in the report
    assert out.splitlines()[0] == f"{CT}: 0 errors, 0 warnings"


def test_warnings_fail_only_when_strict(run, tmp_path):
    dataset = dcmread(CT)
    dataset.EnergyWindowVector = 1
    dataset.save_as(tmp_path / "a.dcm")
    code, out, _ = run(tmp_path)
    assert code == 0
    assert "warning EnergyWindowVector: is not in this IOD [PS3.2" in out
    assert run(tmp_path, "--strict")[0] == 1
    assert run(tmp_path, "--strict", "--ignore", "module")[0] == 0


def test_items_and_nested_content_are_looked_at_to_any_depth(findings, tmp_path):
    dataset = dcmread(SR)
    inner = dataset.ContentSequence[4].ContentSequence[0].ContentSequence[0]
    place = "ContentSequence[5].ContentSequence[1].ContentSequence[1]"
    inner.ValueType = "TEXT"
    del inner.ReferencedSOPSequence
    dataset.save_as(tmp_path / "a.dcm")
    text = "is absent, but Type 1C in SR Document Content, since ValueType is TEXT"
    assert ("error", "type", f"{place}.TextValue", text) in findings(tmp_path / "a.dcm")


def test_each_frame_is_held_against_the_attributes_and_the_offset_table(findings, tmp_path):
    dataset = dcmread(JPEG)
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    start = frame.index(b"\xff\xc0") + 5
    other = frame[:start] + b"\0\x63" + frame[start + 2 :]
    dataset.NumberOfFrames = 3
    dataset.PixelData = encapsulate([frame, other, frame])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.save_as(tmp_path / "a.dcm")
    found = {text for _, rule, _, text in findings(tmp_path / "a.dcm") if rule == "codestream"}
    assert "frame 2: Rows is 100, but 99 in the codestream" in found
    assert not any(text.startswith(("frame 1: Rows", "frame 3: Rows")) for text in found)
    dataset.PixelData = dataset.PixelData[:12] + b"\x22" + dataset.PixelData[13:]
    dataset.save_as(tmp_path / "a.dcm")
    found = {text for _, rule, _, text in findings(tmp_path / "a.dcm") if rule == "pixels"}
    assert any("Basic Offset Table" in text for text in found)
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.80"
    dataset.save_as(tmp_path / "a.dcm")
    found = {text for _, rule, _, text in findings(tmp_path / "a.dcm") if rule == "codestream"}
    assert "frame 1: its frame header is FFC0H, but the syntax is JPEG-LS" in found


def test_functional_groups_are_one_for_each_frame_and_the_mandatory_ones_there(findings, tmp_path):
    source = FOLDER / "liver_1frame.dcm"
    assert not any(rule == "module" and level == "error" for level, rule, *_ in findings(source))
    dataset = dcmread(source)
    dataset.NumberOfFrames = 2
    del dataset.PerFrameFunctionalGroupsSequence[1:]
    for groups in (
        *dataset.SharedFunctionalGroupsSequence, *dataset.PerFrameFunctionalGroupsSequence,
    ):  # fmt: skip
        groups.pop("SegmentIdentificationSequence", None)
    dataset.save_as(tmp_path / "a.dcm")
    texts = {text for _, rule, _, text in findings(tmp_path / "a.dcm") if rule == "module"}
    assert "has 1 items, but there are 2 frames" in texts
    assert any(text.startswith("SegmentIdentificationSequence is in neither") for text in texts)


def _item(**values):
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def _lut(dataset):
    """A table instead of a slope: "shall not be present if" is about the other."""
    del dataset.RescaleIntercept, dataset.RescaleSlope
    lut = _item(LUTDescriptor=[2, 0, 16], ModalityLUTType="HU")
    lut.add_new("LUTData", "US", [0, 1])
    dataset.ModalityLUTSequence = [lut]


def _optional_groups(dataset):
    """Number of Frames and Instance Number make no Multi-frame Functional Groups."""
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7.2"
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.NumberOfFrames = 1


def _frame_type_by_frame(dataset):
    """A condition on what is in the groups of frames only."""
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4.1"
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    frame = _item(MRImageFrameTypeSequence=[_item(FrameType=["ORIGINAL", "PRIMARY", "M", "NONE"])])
    modifier = _item(PartialFourier="YES", PartialFourierDirection="PHASE", Spoiling="NONE")
    dataset.SharedFunctionalGroupsSequence = [_item(MRModifierSequence=[modifier])]
    dataset.PerFrameFunctionalGroupsSequence = [frame]


@pytest.mark.parametrize(
    ("change", "attribute"),
    [
        (_lut, "ModalityLUTSequence"),
        (_optional_groups, "SharedFunctionalGroupsSequence"),
        (_frame_type_by_frame, "PartialFourierDirection"),
        (_frame_type_by_frame, "Spoiling"),
    ],
)
def test_false_positives_that_other_validators_had(findings, tmp_path, change, attribute):
    dataset = dcmread(CT)
    change(dataset)
    dataset.save_as(tmp_path / "a.dcm")
    places = {place for _, rule, place, _ in findings(tmp_path / "a.dcm") if rule == "type"}
    assert not any(place.endswith(attribute) for place in places)


def test_file_meta_information_is_that_of_the_dataset(findings, run, tmp_path):
    dataset = dcmread(CT)
    dataset.file_meta.MediaStorageSOPInstanceUID = uid = generate_uid()
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=False)
    wrong = [text for _, rule, _, text in findings(tmp_path / "a.dcm") if rule == "meta"]
    assert wrong == [
        f"Media Storage SOP Instance UID is {uid}, but that of the dataset {dataset.SOPInstanceUID}"
    ]
    (tmp_path / "notes.txt").write_text("no DICOM")
    (tmp_path / "a.dcm").unlink()
    assert run(tmp_path)[0] == NOTHING
    assert run(tmp_path / "notes.txt")[0] == 1
    assert run(tmp_path / "none")[0] == 1


def test_what_is_in_a_value_does_not_act_on_a_terminal(run, tmp_path):
    dataset = dcmread(CT)
    _raw("Modality", "CS", "\033[31m")(dataset)
    dataset.save_as(tmp_path / "red.dcm")
    assert "\033" not in "".join(run(tmp_path)[1:]) + "".join(run(tmp_path, "--json")[1:])


def test_every_table_can_be_read():
    iod = find_iod("1.2.840.10008.5.1.4.1.1.2")
    assert [module.key for module in iod.modules][:3] == [
        "patient", "clinical-trial-subject", "general-study",
    ]  # fmt: skip
    from pacs_tools.validation import tables

    dataset = Scope((_elements(),))
    for uid in tables._iods():
        for module in tables.find_iod(uid).modules:
            pending = [module.attributes]
            while pending:
                rows = attributes_of(pending.pop())
                pending += [row.items for row in rows.values() if row.items]
    for number in tables._conditions():
        condition = tables.condition_of(number)
        assert condition.kind in {"MN", "MU", "NU"}
        assert describe(condition.expression)
        holds(condition.expression, dataset)
    assert all(tables.enumerations_of(number) for number in tables._enumerations())


def _elements():
    from pacs_tools.files import open_dicom

    with open_dicom(CT) as file:
        return file.elements


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_a_damaged_file_never_fails_otherwise_than_by_findings(tmp_path_factory, data):
    content = bytearray(data.draw(st.sampled_from([CT, SR, JPEG])).read_bytes()[:9000])
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=12)):
        content[position] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "a.dcm"
    path.write_bytes(content)
    assert main(["validate", str(path)]) in {0, 1}


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dicom3tools is not installed")
def test_missing_attributes_are_those_that_dciodvfy_finds(run):
    """But for two whose conditions are about the patient's body, not the dataset."""
    # The folder has many of a kind: each third file, all of them in a long run.
    step = 1 if os.environ.get("PACS_LONG") else 3
    code, out, _ = run("--json", *sorted(filter(Path.is_file, FOLDER.rglob("*")))[::step])
    assert code == 1
    judged = {"Laterality", "PatientOrientation"}
    agreed = disagreed = 0
    for record in map(json.loads, out.splitlines()):
        theirs = subprocess.run(
            ["dciodvfy", record["path"]], capture_output=True, text=True, errors="replace"
        ).stderr
        expected = set(re.findall(r"Error - Missing attribute Type .*?Element=<(\w+)>", theirs))
        found = {
            each["attribute"].split(".")[-1].split("[")[0]
            for each in record["findings"]
            if "is absent, but Type" in each["text"]
        }
        agreed += len((found & expected) - judged)
        disagreed += len((found ^ expected) - judged)
    assert agreed > 900 / step
    assert disagreed < agreed / 40


DICOMDIRS = sorted((CT.parent / "dicomdirtests").glob("DICOMDIR*"))


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dicom3tools is not installed")
@pytest.mark.parametrize("path", DICOMDIRS, ids=lambda path: path.name)
def test_a_dicomdir_has_the_errors_that_dciodvfy_finds(findings, path):
    """It has no SOP Class UID, and an IOD of its own (PS3.3 F.3)."""
    theirs = subprocess.run(["dciodvfy", path], capture_output=True, text=True, errors="replace")
    errors = [line for line in theirs.stderr.splitlines() if line.startswith("Error")]
    ours = [each for each in findings(path) if each[:2] == ("error", "type")]
    missing = [line for line in errors if "Missing attribute" in line]
    assert bool(ours) is bool(missing), (ours, errors)


def test_a_dicomdir_that_lacks_something(findings, tmp_path):
    dataset = dcmread(DICOMDIRS[0])
    del dataset.FileSetConsistencyFlag
    record = dataset.DirectoryRecordSequence[-1]
    del record.RecordInUseFlag, record.ReferencedTransferSyntaxUIDInFile
    record.OffsetOfTheNextDirectoryRecord = None
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"
    dataset.save_as(tmp_path / "DICOMDIR")
    number = len(dataset.DirectoryRecordSequence)
    place = f"DirectoryRecordSequence[{number}]."
    found = {(each[1], each[2], each[3].split(",")[0]) for each in findings(tmp_path / "DICOMDIR")}
    assert found >= {
        ("type", "FileSetConsistencyFlag", "is absent"),
        ("type", f"{place}RecordInUseFlag", "is absent"),
        ("type", f"{place}ReferencedTransferSyntaxUIDInFile", "is absent"),
        ("type", f"{place}OffsetOfTheNextDirectoryRecord", "is empty"),
        ("meta", "", "a DICOMDIR is in Explicit VR Little Endian"),
    }
