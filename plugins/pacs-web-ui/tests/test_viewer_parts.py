"""Parts of the viewer: display sets, reports, texts."""

import re
import tomllib
from pathlib import Path

import pacs_web_ui
import pytest
from hypothesis import given, strategies as st
from pacs_web_ui.studies import Instance, Series
from pacs_web_ui.viewer.display_sets import divide, kind_of, number_of
from pacs_web_ui.viewer.report import read_report

from pacs_core.dataset import DataElement, ElementSet, tag_of

FOLDER = Path(pacs_web_ui.__file__).parent
CT, SR, PDF, CDA, VIDEO, PLAN = (
    f"1.2.840.10008.5.1.4.1.1.{number}"
    for number in ("2", "88.33", "104.1", "104.2", "77.1.4.1", "481.5")
)


def test_german_has_every_text_and_no_other():
    sources = [*(FOLDER / "viewer/static").glob("*.js"), *(FOLDER / "templates/viewer").glob("*")]
    used = {
        text
        for path in sources
        for text in re.findall(r'\bt\("([^"]+)"\)', path.read_text(encoding="utf-8"))
    }
    # What a report says of itself is named in Python.
    used |= {"complete", "partial", "verified", "unverified", "Verified by", "Institution"}
    shared = tomllib.loads((FOLDER / "locale/de.toml").read_text(encoding="utf-8"))
    german = tomllib.loads((FOLDER / "locale/viewer/de.toml").read_text(encoding="utf-8"))
    assert used - shared.keys() <= german.keys() <= used
    assert all(german.values())


def test_modules_refer_to_modules_that_are_there():
    modules = {path.name: path.read_text() for path in (FOLDER / "viewer/static").glob("*.js")}
    for name, text in modules.items():
        assert set(re.findall(r'from "\./([^"]+)"', text)) <= modules.keys(), name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|\beval\b", text), name


@pytest.mark.parametrize(
    ("sop_class", "rows", "kind"),
    [
        (CT, 512, "images"),
        (SR, 0, "report"),
        (PDF, 0, "document"),
        (CDA, 0, "text"),
        (VIDEO, 1080, "video"),
        (PLAN, 0, "other"),
    ],
)
def test_instances_are_shown_as_what_they_are(sop_class, rows, kind):
    assert kind_of(Instance(sop_class_uid=sop_class, rows=rows, columns=rows)) == kind


def image(uid, frames=0):
    return Instance(uid, CT, "1", 512, 512, frames)


def test_images_of_a_series_are_one_set_and_cines_are_their_own():
    found = divide(Series("1"), [image("1.1"), image("1.2", 30), image("1.3"), image("1.4", 1)])
    assert [(each.instance, each.count) for each in found] == [("", 3), ("1.2", 30)]
    assert found[0].middle == "1.3"


@given(st.text(max_size=14))
def test_any_instance_number_sorts(text):
    assert isinstance(number_of(Instance(instance_number=text))[0], int)


def elements(**values):
    """Return elements by keyword: text, or a list of items."""
    made = {}
    for keyword, value in values.items():
        tag = tag_of(keyword)
        is_text = isinstance(value, str)
        encoded = value.encode() if is_text else tuple(value)
        vr = ("LO" if "\\" in value else "LT") if is_text else "SQ"
        made[tag] = DataElement(tag, vr, encoded)
    return ElementSet(made, ("ISO_IR 192",))


def code(meaning, value="C"):
    return [elements(CodeValue=value, CodeMeaning=meaning)]


def number(value, unit, meaning):
    units = code(meaning, unit)
    return [elements(NumericValue=value, MeasurementUnitsCodeSequence=units)]


ITEMS = {
    "TEXT": ({"TextValue": "all well"}, "all well"),
    "CODE": ({"ConceptCodeSequence": code("Left")}, "Left"),
    "NUM": ({"MeasuredValueSequence": number("12.5", "mm", "millimetre")}, "12.5 mm"),
    "NUM in HU": ({"MeasuredValueSequence": number("40", "[hnsf'U]", "HU")}, "40 HU"),
    "NUM of nothing": ({"MeasuredValueSequence": number("3", "1", "no units")}, "3"),
    "NUM missing": (
        {"MeasuredValueSequence": [], "NumericValueQualifierCodeSequence": code("Not a number")},
        "Not a number",
    ),
    "PNAME": ({"PersonName": "Doe^Jane"}, "Doe, Jane"),
    "DATE": ({"Date": "20260102"}, "2026-01-02"),
    "TIME": ({"Time": "101112.5"}, "10:11:12"),
    "DATETIME": ({"DateTime": "202601021011"}, "2026-01-02 10:11"),
    "UIDREF": ({"UID": "1.2.3"}, "1.2.3"),
}


@pytest.mark.parametrize("name", ITEMS)
def test_content_items_say_their_value(name):
    values, said = ITEMS[name]
    item = elements(
        ValueType=name.split()[0], RelationshipType="CONTAINS",
        ConceptNameCodeSequence=code("Name"), **values,
    )  # fmt: skip
    report = read_report(elements(ConceptNameCodeSequence=code("T"), ContentSequence=[item]))
    assert report.title == "T"
    assert [(each.name, each.value) for each in report.items] == [("Name", said)]


def test_what_refers_to_an_image_names_its_frame():
    reference = elements(ReferencedSOPInstanceUID="1.2.3", ReferencedFrameNumber="7\\8")
    item = elements(ValueType="IMAGE", ReferencedSOPSequence=[reference])
    (found,) = read_report(elements(ContentSequence=[item])).items
    assert (found.reference.instance, found.reference.frame) == ("1.2.3", "7")


def test_a_report_of_any_depth_is_cut_and_says_so():
    item = elements(ValueType="TEXT", TextValue="deepest")
    for _ in range(200):
        item = elements(ValueType="CONTAINER", ContentSequence=[item])
    report = read_report(elements(ContentSequence=[item]))
    assert not report.is_whole
    depth, items = 0, report.items
    while items:
        depth, items = depth + 1, items[0].children
    assert depth == 40


def test_the_state_of_a_report_is_what_the_standard_has():
    report = read_report(elements(CompletionFlag="COMPLETE", VerificationFlag="<b>"))
    assert report.states == ("complete",)
