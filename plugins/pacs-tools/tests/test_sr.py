"""``pacs sr``: trees, texts, pages and measurements, beside DCMTK's dsrdump and dsr2html."""

import csv
import re
import shutil
import subprocess
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from pacs_tools.sr.measurements import harmless
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

from pacs_core.api.commands import main
from pacs_core.api.file_commands import NOTHING
from pacs_core.api.sr import POLICY

FOLDER = Path(get_testdata_file("CT_small.dcm")).parent
CT, SR = FOLDER / "CT_small.dcm", FOLDER / "reportsi.dcm"
IMAGE = generate_uid()
MARKUP = '<script>alert("x")</script>&\'<img src=x onerror=y>'


@pytest.fixture
def run(run):
    return partial(run, "sr")


def code(value, scheme, meaning):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def content(kind, relationship, name, *items, **values):
    item = Dataset()
    item.RelationshipType, item.ValueType = relationship, kind
    item.ConceptNameCodeSequence = [name]
    for keyword, value in values.items():
        setattr(item, keyword, value)
    if items:
        item.ContentSequence = list(items)
    return item


def measured(number, unit):
    value = Dataset()
    value.NumericValue, value.MeasurementUnitsCodeSequence = number, [unit]
    return {"MeasuredValueSequence": [value]}


def image(*, frames=None):
    reference = Dataset()
    reference.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    reference.ReferencedSOPInstanceUID = IMAGE
    if frames:
        reference.ReferencedFrameNumber = frames
    return {"ReferencedSOPSequence": [reference]}


def report():
    """A Measurement Report (PS3.16 TID 1500) with a group, and texts that are markup."""
    millimetres = code("mm", "UCUM", "millimeter")
    source = content("IMAGE", "INFERRED FROM", code("121324", "DCM", "Source image"), **image())
    diameter = content(
        "NUM", "CONTAINS", code("81827009", "SCT", "Diameter"),
        content("CODE", "HAS CONCEPT MOD", code("121401", "DCM", "Derivation"),
                ConceptCodeSequence=[code("56851009", "SCT", "Maximum")]),
        source, **measured("17.25", millimetres),
    )  # fmt: skip
    nothing = content(
        "NUM", "CONTAINS", code("118565006", "SCT", "Volume"), MeasuredValueSequence=[],
        NumericValueQualifierCodeSequence=[code("114006", "DCM", "Measurement failure")],
    )  # fmt: skip
    group = content(
        "CONTAINER", "CONTAINS", code("125007", "DCM", "Measurement Group"),
        content("TEXT", "HAS OBS CONTEXT", code("112039", "DCM", "Tracking Identifier"),
                TextValue="=Lesion 1"),
        content("UIDREF", "HAS OBS CONTEXT", code("112040", "DCM", "Tracking UID"), UID="1.2.3"),
        content("CODE", "CONTAINS", code("121071", "DCM", "Finding"),
                ConceptCodeSequence=[code("52988006", "SCT", "Lesion")]),
        diameter, nothing, ContinuityOfContent="SEPARATE",
    )  # fmt: skip
    comment = content(
        "TEXT",
        "CONTAINS",
        code("121106", "DCM", "Comment"),
        TextValue=f"{MARKUP}\r\nsecond\x1bline",
    )
    dataset = dcmread(SR)
    dataset.ConceptNameCodeSequence = [code("126000", "DCM", "Imaging Measurement Report")]
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.33"
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.PatientName = "<b>Doe^Jane</b>"
    dataset.ContentSequence = [
        content("CONTAINER", "CONTAINS", code("126010", "DCM", "Imaging Measurements"), group,
                ContinuityOfContent="SEPARATE"),
        comment,
        content("IMAGE", "CONTAINS", code("121079", "DCM", "Baseline"), **image(frames=[2, 5])),
    ]  # fmt: skip
    return dataset


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "report.dcm"
    report().save_as(path)
    return path


def test_a_tree_has_each_item(run, written):
    code, out, err = run(written)
    assert (code, err) == (0, "")
    assert out.splitlines()[:8] == [
        "1 CONTAINER Imaging Measurement Report",
        "  1.1 contains CONTAINER Imaging Measurements",
        "    1.1.1 contains CONTAINER Measurement Group",
        "      1.1.1.1 has obs context TEXT Tracking Identifier: =Lesion 1",
        "      1.1.1.2 has obs context UIDREF Tracking UID: 1.2.3",
        "      1.1.1.3 contains CODE Finding: Lesion",
        "      1.1.1.4 contains NUM Diameter: 17.25 mm",
        "        1.1.1.4.1 has concept mod CODE Derivation: Maximum",
    ]
    assert "NUM Volume: Measurement failure" in out
    assert f"Baseline: CT Image {IMAGE}, frame 2, 5" in out
    assert "\x1b" not in out


def test_measurements_are_rows_with_what_they_are_of(run, written, tmp_path):
    assert run(written, "--format", "csv", "-o", tmp_path / "a.csv")[0] == 0
    first, second = csv.DictReader((tmp_path / "a.csv").read_text().splitlines())
    assert first == {
        "path": str(written), "group": "Measurement Group", "tracking_id": "'=Lesion 1",
        "tracking_uid": "1.2.3", "finding": "Lesion", "finding_site": "", "name": "Diameter",
        "code": "81827009", "scheme": "SCT", "value": "17.25", "unit": "millimeter",
        "unit_code": "mm", "qualifier": "", "modifiers": "Derivation=Maximum", "instances": IMAGE,
    }  # fmt: skip
    assert (second["name"], second["value"]) == ("Volume", "")
    assert second["qualifier"] == "Measurement failure"
    assert run(written, "--format", "csv", "-o", tmp_path / "a.csv")[0] == 2  # it exists


class _Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text = [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_nothing_of_a_report_is_markup_in_a_page(run, written):
    code, out, _ = run(written, "--format", "html")
    assert code == 0
    page = _Page()
    page.feed(out)
    assert {tag for tag, _ in page.tags} <= {
        "html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "h3", "h4", "dl",
        "dt", "dd", "section", "div", "p", "span",
    }  # fmt: skip
    assert not any(
        name.startswith("on") or name in {"src", "href"} for _, a in page.tags for name in a
    )
    assert f"{MARKUP}\nsecond\\x1bline" in page.text
    assert "<b>Doe, Jane</b>" in page.text
    policy = [a["content"] for t, a in page.tags if t == "meta" and "http-equiv" in a]
    assert policy == [POLICY]
    assert "unsafe" not in POLICY
    assert run(written, written, "--format", "html")[0] == 2


def test_a_text_is_for_reading(run, written):
    _, out, _ = run(written, "--format", "text")
    assert out.splitlines()[:2] == ["Imaging Measurement Report", "=" * 26]
    assert "Patient: <b>Doe, Jane</b>" in out
    assert "    Diameter: 17.25 mm\n      Derivation: Maximum\n" in out


def test_what_refers_to_another_item_is_not_followed(run, tmp_path):
    dataset = report()
    item = Dataset()
    item.RelationshipType = "INFERRED FROM"
    item.ReferencedContentItemIdentifier = [1, 1]
    dataset.ContentSequence[0].ContentSequence.append(item)
    dataset.save_as(tmp_path / "a.dcm")
    code, out, _ = run(tmp_path / "a.dcm")
    assert code == 0
    assert "1.1.2 inferred from see 1.1" in out


def test_what_is_no_report_is_passed_over_in_folders_only(run, written):
    shutil.copy(CT, written.with_name("ct.dcm"))
    (written.parent / "notes.txt").write_text("no DICOM")
    assert run(written.parent, "--format", "csv")[::2] == (0, "")
    code, _, err = run(CT)
    assert code == 1
    assert "it is no structured report" in err
    written.unlink()
    assert run(written.parent)[0] == NOTHING


@pytest.mark.skipif(not shutil.which("dsrdump"), reason="DCMTK is not installed")
def test_dcmtk_finds_the_same_items_and_values(run, written):
    theirs = subprocess.run(
        ["dsrdump", "-Ee", "-Er", "-Ev", "+Pl", written], capture_output=True, text=True
    ).stdout
    items = re.findall(r"<(?:([a-z ]+?) )?([A-Z0-9]+):\(,,\"([^\"]*)\"\)", theirs)
    _, out, _ = run(written)
    ours = re.findall(r"^ *[\d.]+ (?:([a-z ]+) )?([A-Z0-9]+) ([^:\n]*)", out, re.MULTILINE)
    assert len(items) == 12
    assert [tuple(each) for each in items] == ours
    page = subprocess.run(["dsr2html", written], capture_output=True, text=True).stdout
    assert "17.25" in page  # which is what DCMTK calls the same document
    assert "17.25" in run(written, "--format", "html")[1]


def every_value_type():
    """A Comprehensive 3D SR with an item of each Value Type but TABLE, which DCMTK has not."""
    name = code("1", "99TEST", "X")

    def refer(sop_class):
        reference = Dataset()
        reference.ReferencedSOPClassUID = f"1.2.840.10008.5.1.4.1.1.{sop_class}"
        reference.ReferencedSOPInstanceUID = IMAGE
        return {"ReferencedSOPSequence": [reference]}

    def item(kind, *items, **values):
        return content(kind, "CONTAINS", name, *items, **values)

    source = content("IMAGE", "SELECTED FROM", name, **refer("2"))
    dataset = report()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.34"
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.ContentSequence = [
        *dataset.ContentSequence,
        item("DATE", Date="20260102"),
        item("TIME", Time="101112"),
        item("DATETIME", DateTime="20260102101112"),
        item("PNAME", PersonName="Doe^Jane"),
        item("COMPOSITE", **refer("88.11")),
        item("WAVEFORM", **refer("9.1.1")),
        item("SCOORD", source, GraphicType="POLYLINE", GraphicData=[1.5, 2.0, 3.0, 4.0]),
        item("SCOORD3D", GraphicType="POINT", GraphicData=[1.0, 2.0, 3.25],
             ReferencedFrameOfReferenceUID="1.2.9"),
        item("TCOORD", source, TemporalRangeType="POINT", ReferencedTimeOffsets=["5.5"]),
    ]  # fmt: skip
    return dataset


@pytest.mark.skipif(not shutil.which("dsrdump"), reason="DCMTK is not installed")
@pytest.mark.parametrize("source", ["made", "reportsi.dcm", "test-SR.dcm"])
def test_dcmtk_says_no_value_that_is_not_in_the_text(run, tmp_path, source):
    path = FOLDER / source
    if source == "made":
        path = tmp_path / "a.dcm"
        every_value_type().save_as(path)
    theirs = subprocess.run(["dsrdump", "-Ee", "-Er", "-Ev", path], capture_output=True).stdout
    said = theirs.decode("utf-8", "replace").partition("\n\n<")[2]
    words = {
        word
        for value in re.findall(r'(?<=[,=])"([^"]+)', said)
        for word in re.findall(r"[A-Za-z]{3,}", re.sub(r"\\[nr]", " ", value))
    } - {"millimeter"}  # people read its symbol
    assert len(words) > 10
    for form in ("text", "html", "tree"):
        out = run(path, "--format", form)[1]
        assert not {word for word in words if word not in out}
    if source == "made":
        for value in ("2026-01-02", "10:11:12", "Doe, Jane", "1.5, 2", "3.25", "5.5", IMAGE):
            assert value in out


@given(st.text())
def test_a_cell_is_no_formula(cell):
    assert harmless(cell)[:1] not in {"=", "@", "\t", "\r"}
    assert harmless("-1.5e3") == "-1.5e3"


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_a_damaged_report_never_fails_otherwise_than_by_a_message(tmp_path_factory, data):
    content = bytearray(SR.read_bytes())
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=12)):
        content[position] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "a.dcm"
    path.write_bytes(content)
    for form in ("tree", "text", "html", "csv"):
        assert main(["sr", str(path), "--format", form]) in {0, 1}
