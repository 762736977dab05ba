"""Folders of documents, pictures and models, converted file by file in several processes."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.data import get_testdata_file

from pacs_core.api.file_commands import NOTHING

CT = Path(get_testdata_file("CT_small.dcm"))
NUMBER = 40
PDF = b"%PDF-1.4\n%%EOF %d"
CDA = b'<ClinicalDocument xmlns="urn:hl7-org:v3"><id root="1.2.%d"/></ClinicalDocument>'
STL = bytes(80) + (1).to_bytes(4, "little") + bytes(46) + b"%04d"


def files_below(folder):
    return {str(each.relative_to(folder)): each for each in folder.rglob("*") if each.is_file()}


@pytest.mark.parametrize(
    ("command", "suffix", "content", "sop_class"),
    [
        ("from-pdf", ".pdf", PDF, "Encapsulated PDF Storage"),
        ("from-cda", ".xml", CDA, "Encapsulated CDA Storage"),
        ("from-stl", ".STL", STL, "Encapsulated STL Storage"),
    ],
)
@pytest.mark.parametrize("jobs", [1, 2])
def test_documents_go_there_and_back(run, tmp_path, command, suffix, content, sop_class, jobs):
    originals = tmp_path / "in"
    (originals / "below").mkdir(parents=True)
    for number in range(NUMBER):
        name = f"{'below/' if number % 3 else ''}{number:02}{suffix}"
        (originals / name).write_bytes(
            content.replace(b"%04d", b"%d").replace(b"%d", b"%04d" % number)
        )
    (originals / "notes.txt").write_text("none of them")
    done = f"{NUMBER} files written\n"
    options = ("--like", CT, "--jobs", jobs)
    assert run(command, originals, tmp_path / "dicom", *options) == (0, done, "")
    made = files_below(tmp_path / "dicom")
    assert sorted(made) == sorted(f"{n}.dcm" for n in files_below(originals) if n != "notes.txt")
    datasets = [dcmread(each) for each in made.values()]
    assert {each.SOPClassUID.name for each in datasets} == {sop_class}
    assert {each.PatientID for each in datasets} == {"1CT1"}
    assert len({each.SOPInstanceUID for each in datasets}) == NUMBER
    shutil.copy(CT, tmp_path / "dicom" / "image.dcm")  # which holds no document
    assert run("to-document", tmp_path / "dicom", tmp_path / "back", "--jobs", jobs) == (
        0,
        done,
        "",
    )
    (originals / "notes.txt").unlink()
    back = {name: each.read_bytes() for name, each in files_below(tmp_path / "back").items()}
    assert back == {name: each.read_bytes() for name, each in files_below(originals).items()}


def test_pictures_of_a_folder(run, tmp_path):
    originals = tmp_path / "in"
    originals.mkdir()
    random = np.random.default_rng(1)
    arrays = [random.integers(0, 255, (5, 7, 3), np.uint8) for _ in range(NUMBER)]
    for number, array in enumerate(arrays):
        Image.fromarray(array).save(originals / f"{number:02}.{('png', 'bmp')[number % 2]}")
    (originals / "notes.txt").write_text("none of them")
    (originals / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    code, out, err = run("from-image", originals, tmp_path / "out", "--kind", "photo")
    assert (code, out) == (1, f"{NUMBER} files written\n")
    assert err.startswith(f"pacs: {originals / 'broken.png'}: ")
    made = sorted((tmp_path / "out").iterdir())
    assert all((dcmread(path).pixel_array == a).all() for path, a in zip(made, arrays, strict=True))


def test_what_is_there_is_replaced_on_request_only(run, tmp_path):
    (tmp_path / "in").mkdir()
    for name in "ab":
        (tmp_path / "in" / f"{name}.pdf").write_bytes(PDF)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.pdf.dcm").write_text("mine")
    code, out, err = run("from-pdf", tmp_path / "in", tmp_path / "out")
    assert (code, out) == (1, "1 file written\n")
    assert "a.pdf.dcm exists: say --overwrite to replace it" in err
    assert (tmp_path / "out" / "a.pdf.dcm").read_text() == "mine"
    assert run("from-pdf", tmp_path / "in", tmp_path / "out", "--overwrite")[0] == 0
    assert dcmread(tmp_path / "out" / "a.pdf.dcm").Modality == "DOC"
    assert run("from-stl", tmp_path / "in", tmp_path / "none")[0] == NOTHING
    assert run("from-pdf", tmp_path / "in", tmp_path / "new", "--set", "NoSuchName=1")[0] == 2
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("form", ["json", "xml"])
def test_models_with_file_meta_information(run, tmp_path, form):
    """dcm4che and others put it into models, where it does not belong (PS3.18 F.2)."""
    model, made = tmp_path / f"a.{form}", tmp_path / "a.dcm"
    assert run(form, CT, model)[0] == 0
    text = model.read_text()
    meta = {
        "json": '{"00020010": {"vr": "UI", "Value": ["1.2.840.10008.1.2.4.50"]}, ' + text[1:],
        "xml": text.replace(
            "<DicomAttribute ",
            '<DicomAttribute tag="00020010" vr="UI"><Value number="1">1.2.840.10008.1.2.4.50'
            "</Value></DicomAttribute><DicomAttribute ",
            1,
        ),
    }
    model.write_text(meta[form])
    assert run(form, model, made)[0] == 0
    dataset = dcmread(made)
    assert dataset.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert 0x00020010 not in dataset
    assert dataset == dcmread(CT)


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_first_file_of_a_patient_says_who_he_is(run, tmp_path, jobs):
    """The attributes of the patient who stays are those of the first file, of many."""
    for number in range(NUMBER):
        dataset = dcmread(CT)
        is_other = number in {35, 38}
        dataset.PatientID = "STAYS" if is_other else "GOES"
        dataset.PatientName = f"Name^{number}" if is_other else "Old"
        dataset.save_as(tmp_path / f"{number:02}.dcm")
    (tmp_path / "notes.txt").write_text("none of them")
    command = ("merge-patient", tmp_path, "--from", "GOES", "--into", "STAYS", "--in-place")
    assert run(*command, "--jobs", jobs)[:2] == (0, f"{NUMBER - 2} files written\n")
    names = {str(dcmread(each).PatientName) for each in tmp_path.glob("*.dcm")}
    assert names == {"Name^35", "Name^38"}
