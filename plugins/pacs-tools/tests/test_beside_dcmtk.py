"""What DCMTK's programs say of the same files, and what they make of the same input."""

import json
import shutil
import struct
import subprocess
from base64 import b64decode
from pathlib import Path
from xml.etree import ElementTree

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

pytestmark = pytest.mark.skipif(not shutil.which("dcmdump"), reason="DCMTK is not installed")

CT = Path(get_testdata_file("CT_small.dcm"))
FOLDER = CT.parent
READABLE = (
    "CT_small.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm", "ExplVR_BigEndNoMeta.dcm",
    "image_dfl.dcm", "test-SR.dcm", "rtplan.dcm", "rtstruct.dcm", "waveform_ecg.dcm",
    "UN_sequence.dcm", "nested_priv_SQ.dcm", "priv_SQ.dcm", "examples_overlay.dcm",
    "examples_palette.dcm", "SC_rgb_small_odd.dcm", "liver_1frame.dcm", "reportsi.dcm",
)  # fmt: skip
BLANKED = {"UN_sequence.dcm", "waveform_ecg.dcm"}
"""dcm2xml blanks the block of their private tags, and names no creator: nobody has reserved it."""

UNREADABLE = ("no_meta.dcm", "MR_truncated.dcm", "rtplan_truncated.dcm")
CHARSETS = sorted(path.name for path in (FOLDER.parent / "charset_files").glob("chr*.dcm"))
LEFT_OUT = {"00080005", "FFFCFFFC"}
"""The character set of a model is UTF-8, and not each writer says so; DCMTK drops the padding."""


def dcmtk(*arguments):
    # Text goes through the system's iconv, which needs no locale.
    process = subprocess.run([*map(str, arguments)], capture_output=True, check=False)
    return process.returncode, process.stdout


def value_of(vr, value):
    """Return a value as it can be compared: DCMTK writes floats with fewer digits."""
    if vr == "SQ":
        return plain(value)
    if vr == "FL" and value not in (None, ""):
        return struct.unpack("f", struct.pack("f", float(value)))[0]
    if vr in {"FD", "DS"} and value not in (None, ""):
        return float(f"{float(value):.15g}")
    if vr == "PN":
        # Components that are empty at the end, which DCMTK leaves out (PS3.5 §6.2.1).
        return {
            group: text.rstrip("^") for group, text in (value or {}).items() if text.rstrip("^")
        }
    return value


def plain(model):
    made = {}
    for tag, element in model.items():
        if tag in LEFT_OUT:
            continue
        vr = element["vr"]
        values = [value_of(vr, value) for value in element.get("Value", ())]
        binary = b64decode(element.get("InlineBinary", ""))
        made[tag] = (
            vr,
            values if any(values) or vr != "PN" else [],
            binary + bytes(len(binary) % 2),
        )
    return made


@pytest.mark.parametrize("name", [*READABLE, *CHARSETS])
def test_json_is_that_of_dcm2json(run, tmp_path, name):
    path = FOLDER / name if name in READABLE else FOLDER.parent / "charset_files" / name
    code, theirs = dcmtk("dcm2json", "-q", path)
    if name in CHARSETS and (code or b"\xd4" in theirs):
        pytest.skip("DCMTK does not know this character set, or has it wrong in items")
    assert code == 0
    assert run("json", path, tmp_path / "a.json") == (0, "", "")
    assert plain(json.loads((tmp_path / "a.json").read_text())) == plain(json.loads(theirs))


@pytest.mark.parametrize("name", UNREADABLE)
@pytest.mark.parametrize(("command", "program"), [("json", "dcm2json"), ("xml", "dcm2xml")])
def test_what_dcmtk_cannot_read_is_refused(run, tmp_path, name, command, program):
    assert dcmtk(program, "-q", FOLDER / name)[0]
    assert run(command, FOLDER / name, tmp_path / "model")[0] == 1
    assert not (tmp_path / "model").exists()


def attributes_of(model, where=""):
    """Return VR and values by place, of a Native DICOM Model (PS3.19 A.1)."""
    found = {}
    for attribute in model:
        tag, vr = attribute.get("tag", ""), attribute.get("vr", "")
        if tag in LEFT_OUT:
            continue
        values = {}
        for child in attribute:
            name, number = child.tag.rpartition("}")[2], child.get("number", "")
            if name == "Item":
                found |= attributes_of(child, f"{where}{tag}[{number}].")
            elif name == "InlineBinary":
                raw = b64decode(child.text or "")
                values["bytes"] = raw + bytes(len(raw) % 2)
            elif name == "PersonName":
                values[number] = "=".join("^".join(part.text or "" for part in group if part.text)
                                          for group in child)  # fmt: skip
            else:
                values[number] = value_of(vr, child.text or "")
        found[where + tag] = vr, {number: value for number, value in values.items() if value != ""}
    return found


def in_words(attributes):
    """Return attributes with the bytes of words swapped, as dcm2xml has those in Base64."""
    found = {}
    for place, (vr, values) in attributes.items():
        raw = values.get("bytes")
        if raw and vr == "OW":
            values = {"bytes": b"".join(raw[n : n + 2][::-1] for n in range(0, len(raw), 2))}
        found[place] = vr, values
    return found


@pytest.mark.parametrize("name", sorted({*READABLE} - BLANKED))
def test_xml_is_that_of_dcm2xml(run, tmp_path, name):
    code, theirs = dcmtk("dcm2xml", "-q", "-nat", "+Eb", FOLDER / name)
    assert code == 0
    assert run("xml", FOLDER / name, tmp_path / "a.xml") == (0, "", "")
    ours = attributes_of(ElementTree.fromstring((tmp_path / "a.xml").read_bytes()))
    assert ours == in_words(attributes_of(ElementTree.fromstring(theirs)))


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "test-SR.dcm", "rtplan.dcm", "examples_palette.dcm"]
)
def test_a_dataset_that_went_through_a_model_is_the_same_to_dcmtk(run, tmp_path, name):
    expected = dcmtk("dcm2json", "-q", FOLDER / name)[1]
    for command in ("json", "xml"):
        model, back = tmp_path / f"a.{command}", tmp_path / f"{command}.dcm"
        assert run(command, FOLDER / name, model)[0] == 0
        assert run(command, model, back)[0] == 0
        assert plain(json.loads(dcmtk("dcm2json", "-q", back)[1])) == plain(json.loads(expected))


@pytest.mark.parametrize("name", [*READABLE, *UNREADABLE, "README.txt", "JPEG2000.dcm"])
def test_info_takes_for_dicom_what_dcmftest_does(run, name):
    """But for datasets without File Meta Information, which are none to dcmftest."""
    code, theirs = dcmtk("dcmftest", FOLDER / name)
    ours, out, _ = run("info", FOLDER / name, "--json")
    if theirs.startswith(b"yes:"):
        assert code == 0
        assert out or name in UNREADABLE
    else:
        assert ours == 1 or "no File Meta Information" in json.loads(out)["oddities"]


DOCUMENTS = {
    "pdf": ("pdf2dcm", b"%PDF-1.4\n%odd number of bytes\n%%EOF"),
    "cda": (
        "cda2dcm",
        b'<?xml version="1.0"?><ClinicalDocument xmlns="urn:hl7-org:v3"><typeId root="2.16"/>'
        b'<id extension="c266" root="2.16.840.1.113883.19.4"/>'
        b'<code code="11488-4" codeSystem="2.16.840.1.113883.6.1" displayName="Consultation"/>'
        b"<title>A\n letter</title></ClinicalDocument>",
    ),
    "stl": ("stl2dcm", bytes(80) + struct.pack("<I", 1) + bytes(50)),
}
OF_AN_INSTANCE = {
    "InstanceCreationDate", "InstanceCreationTime", "SOPInstanceUID", "SeriesInstanceUID",
    "ContentDate", "ContentTime", "StudyDate", "StudyTime", "StudyID", "StudyDescription",
    "TimezoneOffsetFromUTC", "SpecificCharacterSet", "DeviceSerialNumber", "SoftwareVersions",
    "Manufacturer", "ManufacturerModelName", "MeasurementUnitsCodeSequence",
    "InstanceNumber",
}  # fmt: skip
"""What is another with each instance or program: who made it, when, and the unit of an STL file."""


@pytest.mark.parametrize("command", ["json", "xml"])
def test_empty_values_stay_where_they_are(run, tmp_path, command):
    """The last one, too, which tells how many there are (dcm4che#633)."""
    source = dcmread(CT)
    source.ImageType, source.OtherPatientNames = ["A", "", "B", ""], ["X", "", "Y"]
    source.save_as(tmp_path / "a.dcm")
    assert run(command, tmp_path / "a.dcm", tmp_path / "model")[0] == 0
    assert run(command, tmp_path / "model", tmp_path / "b.dcm")[0] == 0
    assert run("diff", tmp_path / "a.dcm", tmp_path / "b.dcm") == (0, "", "")
    if command == "xml":
        theirs = ElementTree.fromstring(dcmtk("dcm2xml", "-q", "-nat", tmp_path / "a.dcm")[1])
        ours = ElementTree.fromstring((tmp_path / "model").read_bytes())
        numbers = [
            [child.get("number") for each in model for child in each
             if each.get("tag") in {"00080008", "00101001"}]
            for model in (ours, theirs)
        ]  # fmt: skip
        assert numbers[0] == numbers[1]


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_a_document_gets_the_attributes_that_dcmtk_gives_it(run, tmp_path, kind):
    program, content = DOCUMENTS[kind]
    source, ours, theirs = tmp_path / "in", tmp_path / "ours.dcm", tmp_path / "theirs.dcm"
    source.write_bytes(content)
    extra = {"stl": ("+se", CT)}.get(kind, ("+st", CT))
    assert dcmtk(program, "-q", *extra, source, theirs)[0] == 0
    assert run(f"from-{kind}", source, ours, "--like", CT)[0] == 0
    made, expected = dcmread(ours), dcmread(theirs)
    assert {each.keyword for each in expected} - {each.keyword for each in made} == set()
    differing = {
        each.keyword for each in made
        if each.keyword not in OF_AN_INSTANCE and each != expected.get(each.tag)
    }  # fmt: skip
    # PS3.3 C.24.2.1: a CDA document with a structured body may be SR; its code is that of the file.
    assert differing <= ({"Modality", "ConceptNameCodeSequence", "DocumentTitle"} if kind == "cda"
                         else set())  # fmt: skip
    assert run("validate", ours, theirs)[0] == 0
    assert run("to-document", theirs, tmp_path / "back")[0] == 0
    assert (tmp_path / "back").read_bytes() == content


def test_a_cda_document_says_what_it_is(run, tmp_path):
    """PS3.3 C.24.2: Document Title and Concept Name Code are those of the document."""
    source = tmp_path / "in"
    source.write_bytes(DOCUMENTS["cda"][1])
    run("from-cda", source, tmp_path / "a.dcm")
    made = dcmread(tmp_path / "a.dcm")
    (code,) = made.ConceptNameCodeSequence
    assert made.DocumentTitle == "A letter"
    assert (code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning) == (
        "11488-4", "LN", "Consultation",
    )  # fmt: skip
    source.write_bytes(b'<!DOCTYPE a [<!ENTITY t "x">]><a><title>&t;</title><id root="1.2"/></a>')
    assert run("from-cda", source, tmp_path / "b.dcm")[0] == 0
    hostile = dcmread(tmp_path / "b.dcm")
    assert (hostile.DocumentTitle, hostile.HL7InstanceIdentifier) == ("", "2.25.0")


def test_text_is_what_dcmdump_shows(run):
    """Values of all text elements, line by line."""
    shown = dcmtk("dcmdump", "-q", "+L", "+Qn", CT)[1].decode("latin-1").splitlines()
    theirs = {
        line[1:10].upper(): line.split("[", 1)[1].rsplit("]", 1)[0].strip(" \0")
        for line in shown if line.startswith("(00") and "[" in line.split("#")[0]
    }  # fmt: skip
    ours = {line[1:10]: line[52:] for line in run("dump", CT, "--full")[1].splitlines()}
    lacking = [tag for tag, text in theirs.items() if text and text not in ours.get(tag, "")]
    assert [tag for tag in lacking if not tag.startswith(("0002", "0000"))] == []


@pytest.mark.skipif(not shutil.which("dcmicmp"), reason="DCMTK is not installed")
def test_native_pixels_differ_by_what_dcmicmp_says(run, tmp_path):
    dataset, other = dcmread(CT), tmp_path / "other.dcm"
    samples = memoryview(bytearray(dataset.PixelData)).cast("h")
    for number in (0, 129, 16_383):
        samples[number] += 7 - number % 5
    dataset.PixelData = samples.tobytes()
    dataset.save_as(other)
    # Without the rescaling that dcmicmp does by itself.
    command = ["dcmicmp", "--no-modality", CT, other]
    theirs = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    most = next(line.split()[-1] for line in theirs.splitlines() if "Max" in line)
    code, out, err = run("diff", CT, other)
    assert (code, err) == (1, "")
    assert f"(frame 1: 3 of 16384 samples differ, by {most} at most)" in out
    # What is no sample may differ, and where it lies is told from the beginning of the file.
    dataset.PixelData = dcmread(CT).PixelData + b"\1\2"
    dataset.save_as(other)
    assert "(bytes differ, but no sample)" in run("diff", CT, other)[1]
    place = run("dump", CT, "--tag", "PixelData")[1].split("<")[1]
    assert place.strip() in run("diff", CT, other)[1]
