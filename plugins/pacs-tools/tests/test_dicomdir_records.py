"""Records of ``pacs dicomdir create``: their types and attributes (PS3.3 F.4, F.5), by workers."""

from functools import partial
from pathlib import Path

import pytest
from pacs_tools.dicomdir.record_types import RECORD_TYPES, types_for
from pydicom import Dataset, dcmread, fileset
from pydicom.data import get_testdata_file
from pydicom.uid import UID_dictionary

CT = Path(get_testdata_file("CT_small.dcm"))
SR = CT.with_name("test-SR.dcm")


@pytest.fixture
def run(run):
    return partial(run, "dicomdir")


def copy(source, target, **attributes):
    dataset = dcmread(source)
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    target.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(target)


def records_of(folder):
    return list(dcmread(folder / "DICOMDIR").DirectoryRecordSequence)


def test_types_are_those_of_pydicom():
    """Types that pydicom derives from the class alone; it knows none for those that are newer."""
    known = {**fileset._FOUR_LEVEL_SOP_CLASSES, **fileset._SINGLE_LEVEL_SOP_CLASSES}
    assert {uid: types_for(uid)[-1].name for uid in known} == known
    alone = {uid for uid in known if len(types_for(uid)) == 1}
    assert alone == set(fileset._SINGLE_LEVEL_SOP_CLASSES)
    assert RECORD_TYPES.keys() - {"ANNOTATION"} == fileset.DIRECTORY_RECORDERS.keys()
    prefixes = [each.prefix for each in RECORD_TYPES.values()]
    assert len(set(prefixes)) == len(prefixes)


def test_every_storage_class_has_a_type():
    names = {uid: names[0] for uid, names in UID_dictionary.items() if names[0].endswith("Storage")}
    kinds = {name: types_for(uid)[-1].name for uid, name in names.items()}
    assert kinds["Encapsulated STL Storage"] == "ENCAP DOC"
    assert kinds["RT Ion Plan Storage"] == "RT PLAN"
    assert kinds["RT Image Storage"] == kinds["Segmentation Storage"] == "IMAGE"
    assert kinds["Volume Rendering Volumetric Presentation State Storage"] == "PRESENTATION"


def test_workers_make_what_one_process_makes(run, tmp_path):
    """More files than one process takes, of two patients, with some that are none or the same."""
    for number in range(90):
        name = f"{number:03}"
        if number % 11 == 5:
            (tmp_path / "in" / f"{name}.txt").write_text("no DICOM")
            continue
        copy(
            CT, tmp_path / "in" / f"{name}.dcm", SOPInstanceUID=f"1.2.{number % 80}",
            PatientID=f"P{number % 2}", StudyInstanceUID=f"1.2.{number % 2}",
            SeriesInstanceUID=f"1.2.{number % 4}", InstanceNumber=number,
        )  # fmt: skip
    results = [
        run("create", tmp_path / "in", "-o", tmp_path / f"jobs{jobs}", "--jobs", jobs)
        for jobs in (1, 2)
    ]
    assert [code for code, *_ in results] == [1, 1]
    one, two = (err for *_, err in results)
    assert one == two
    assert one.count("is the same instance") == 8
    assert records_of(tmp_path / "jobs1") == records_of(tmp_path / "jobs2")
    files = [
        {each.relative_to(tmp_path / folder): each.read_bytes() for each in found if each.is_file()}
        for folder in ("jobs1", "jobs2")
        for found in [sorted((tmp_path / folder).rglob("I*"))]
    ]
    assert files[0] == files[1]
    assert len(files[0]) == 74
    numbers = [r.InstanceNumber for r in records_of(tmp_path / "jobs2") if "InstanceNumber" in r]
    assert numbers[:3] == [0, 4, 8]  # of the first series of the first patient, in their order
    assert run("show", tmp_path / "jobs2")[::2] == (0, "")


def test_a_report_has_what_modifies_its_title_only(run, tmp_path):
    """Content Sequence has the target items of HAS CONCEPT MOD (PS3.3 F.5.20), not the report."""
    modifier, finding = Dataset(), Dataset()
    modifier.RelationshipType, modifier.ValueType = "HAS CONCEPT MOD", "TEXT"
    modifier.TextValue = "preliminary"
    finding.RelationshipType, finding.ValueType, finding.TextValue = "CONTAINS", "TEXT", "secret"
    report = dcmread(SR)
    copy(SR, tmp_path / "in" / "a", ContentSequence=[modifier, finding, *report.ContentSequence])
    assert run("create", tmp_path / "in", "-o", tmp_path / "out")[0] == 0
    record = records_of(tmp_path / "out")[-1]
    assert record.DirectoryRecordType == "SR DOCUMENT"
    assert [item.TextValue for item in record.ContentSequence] == ["preliminary"]
    assert record.ConceptNameCodeSequence[0].CodeMeaning == "Diagnosis"
    assert b"secret" not in (tmp_path / "out" / "DICOMDIR").read_bytes()


@pytest.mark.parametrize("charset", ["ISO_IR 144", "ISO_IR 192", ["", "ISO 2022 IR 87"]])
def test_names_keep_their_character_set(run, tmp_path, charset):
    name = "Yamada^Tarou=山田^太郎" if isinstance(charset, list) else "Люкceмбypг"
    copy(CT, tmp_path / "in" / "a", SpecificCharacterSet=charset, PatientName=name)
    assert run("create", tmp_path / "in", "-o", tmp_path / "out")[0] == 0
    patient, study, *_ = records_of(tmp_path / "out")
    assert patient.PatientName == name
    assert patient.SpecificCharacterSet == charset
    assert "SpecificCharacterSet" not in study  # which has nothing that needs one


def test_what_a_record_must_have_is_invented_or_named(run, tmp_path):
    copy(CT, tmp_path / "in" / "a", StudyID="", InstanceNumber=None)
    copy(SR, tmp_path / "in" / "b", CompletionFlag="")
    code, _, err = run("create", tmp_path / "in", "-o", tmp_path / "out")
    assert code == 1
    assert "a: it has no StudyID: its directory record has an invented one" in err
    assert "b: no directory record can be made: it has no CompletionFlag" in err
    _, study, _, image = records_of(tmp_path / "out")
    assert (study.StudyID, image.InstanceNumber) == ("1", 1)


def test_a_file_set_that_cannot_be_copied_is_not_made(run, tmp_path):
    """A file that goes while the others are copied leaves nothing behind."""
    copy(CT, tmp_path / "in" / "a")
    (tmp_path / "in" / "b").symlink_to(tmp_path / "gone")
    code, _, err = run("create", tmp_path / "in", "-o", tmp_path / "out")
    assert (code, "b: No such file or directory" in err) == (1, True)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in", "out"]
