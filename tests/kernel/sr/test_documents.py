"""SR documents: what each content item says, and pages and texts of them (PS3.3 C.17.3)."""

from html.parser import HTMLParser

import pytest
from hypothesis import given, settings, strategies as st

from pacs_core.api.sr import PageOptions, page_lines, read_document, text_lines
from pacs_core.dataset import BulkData, DataElement, ElementSet, tag_of

MARKUP = "<script>alert(1)</script>\"'&<img src=x onerror=y>"


def elements(**values):
    """Return elements by keyword: text, or a list of items, or bulk data."""
    made = {}
    for keyword, value in values.items():
        tag = tag_of(keyword)
        is_text = isinstance(value, str)
        vr = ("LO" if "\\" in value else "LT") if is_text else "SQ"
        encoded = value.encode() if is_text else tuple(value)
        made[tag] = DataElement(tag, vr, encoded)
    return ElementSet(made, ("ISO_IR 192",))


def code(meaning, value="C", scheme="UCUM"):
    return [elements(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)]


def number(value, unit, meaning):
    units = code(meaning, unit)
    return [elements(NumericValue=value, MeasurementUnitsCodeSequence=units)]


def content(kind, name="Name", *items, **values):
    below = {"ContentSequence": items} if items else {}
    named = {"ConceptNameCodeSequence": code(name)} if name else {}
    return elements(ValueType=kind, RelationshipType="CONTAINS", **named, **values, **below)


def document(*items, most=10_000, **values):
    title = {"ConceptNameCodeSequence": code("Title")}
    root = elements(ValueType="CONTAINER", ContentSequence=items, **{**title, **values})
    return read_document(root, most)


def reference(uid="1.2.3", sop_class="1.2.840.10008.5.1.4.1.1.2", **more):
    return [elements(ReferencedSOPClassUID=sop_class, ReferencedSOPInstanceUID=uid, **more)]


def page_of(found, **options):
    return "\n".join(page_lines(found, PageOptions(**options)))


def text_of(found):
    return "\n".join(text_lines(found))


ITEMS = {
    "TEXT": ({"TextValue": "all well"}, "all well"),
    "CODE": ({"ConceptCodeSequence": code("Left")}, "Left"),
    "CODE without meaning": ({"ConceptCodeSequence": code("", "T-1", "SRT")}, "T-1 (SRT)"),
    "CODE missing": ({}, ""),
    "NUM": ({"MeasuredValueSequence": number("12.5", "mm", "millimetre")}, "12.5 mm"),
    "NUM in HU": ({"MeasuredValueSequence": number("40", "[hnsf'U]", "HU")}, "40 HU"),
    "NUM of nothing": ({"MeasuredValueSequence": number("3", "1", "no units")}, "3"),
    "NUM missing": (
        {"MeasuredValueSequence": [], "NumericValueQualifierCodeSequence": code("Not a number")},
        "Not a number",
    ),
    "NUM odd": (
        {
            "MeasuredValueSequence": number("9", "mm", "mm"),
            "NumericValueQualifierCodeSequence": code("Out of range"),
        },
        "9 mm (Out of range)",
    ),
    "PNAME": ({"PersonName": "Doe^Jane^M^Dr.^MD"}, "Doe, Dr. Jane M, MD"),
    "PNAME in Japanese": ({"PersonName": "Yamada^Tarou=山田^太郎"}, "Yamada, Tarou = 山田, 太郎"),
    "DATE": ({"Date": "20260102"}, "2026-01-02"),
    "DATE that is none": ({"Date": "soon"}, "soon"),
    "TIME": ({"Time": "101112.5"}, "10:11:12.5"),
    "DATETIME": ({"DateTime": "202601021011+0130"}, "2026-01-02 10:11 +01:30"),
    "UIDREF": ({"UID": "1.2.3"}, "1.2.3"),
    "IMAGE": (
        {"ReferencedSOPSequence": reference(ReferencedFrameNumber="7\\8")},
        "CT Image 1.2.3, frame 7, 8",
    ),
    "COMPOSITE": ({"ReferencedSOPSequence": reference(sop_class="1.9")}, "1.9 1.2.3"),
    "WAVEFORM": (
        {"ReferencedSOPSequence": reference(ReferencedWaveformChannels="1\\2")},
        "CT Image 1.2.3, channels 1, 2",
    ),
    "SCOORD": (
        {"GraphicType": "POLYLINE", "GraphicData": "1\\2\\3\\4\\5\\6\\7\\8\\9\\10"},
        "POLYLINE (1, 2) (3, 4) (5, 6) (7, 8) ... 5 points",
    ),
    "SCOORD3D": ({"GraphicType": "POINT", "GraphicData": "1\\2\\3.5"}, "POINT (1, 2, 3.5)"),
    "TCOORD": (
        {"TemporalRangeType": "SEGMENT", "ReferencedTimeOffsets": "1\\2"},
        "SEGMENT 1 2",
    ),
    "NEWTYPE": ({"TextValue": "x"}, ""),
}


@pytest.mark.parametrize("name", ITEMS)
def test_content_items_say_their_value(name):
    values, said = ITEMS[name]
    found = document(content(name.split()[0], **values))
    assert found.title == "Title"
    assert [(str(each.name), each.value) for each in found.root.items] == [("Name", said)]
    assert said in text_of(found)
    if not found.root.items[0].references:
        assert f"{said}</span>" in page_of(found).replace("&#x27;", "'")


def test_a_table_has_headings_units_and_cells_in_each_form():
    """PS3.3 C.18.10.1.1 and C.18.10.1.2, Example 1."""
    cells = [
        elements(TableColumnNumber="1", SelectorAttributeVR="DT",
                 SelectorDTValue="20200401163901\\20200401163902"),
        elements(TableRowNumber="1", TableColumnNumber="2", SelectorAttributeVR="LO",
                 SelectorLOValue=MARKUP),
        elements(TableRowNumber="2", TableColumnNumber="2", SelectorAttributeVR="SQ",
                 SelectorCodeSequenceValue=code("Low")),
        elements(TableRowNumber="9", TableColumnNumber="2", SelectorAttributeVR="LO",
                 SelectorLOValue="outside"),
        elements(TableRowNumber="1", TableColumnNumber="1", SelectorAttributeVR="../x"),
    ]  # fmt: skip
    columns = [
        elements(TableColumnNumber="1", ConceptNameCodeSequence=code("Started")),
        elements(
            TableColumnNumber="2",
            ConceptNameCodeSequence=code("Current"),
            MeasurementUnitsCodeSequence=code("mA", "mA"),
        ),
    ]
    table = elements(
        NumberOfTableRows="2", NumberOfTableColumns="2",
        TableColumnDefinitionSequence=columns, CellValuesSequence=cells,
    )  # fmt: skip
    found = document(content("TABLE", TabulatedValuesSequence=[table]))
    assert "<tr><th>Started</th><th>Current (mA)</th></tr>" in page_of(found)
    assert "<td>2020-04-01 16:39:01</td><td>&lt;script&gt;" in page_of(found)
    assert "2020-04-01 16:39:02 | Low" in text_of(found)
    assert "outside" not in text_of(found)


def test_a_table_that_says_it_is_huge_is_not_made():
    table = elements(NumberOfTableRows="4294967295", NumberOfTableColumns="4294967295")
    found = document(content("TABLE", TabulatedValuesSequence=[table]))
    assert "table of 4294967295 rows" in page_of(found)


def test_what_refers_to_another_item_leads_to_it_and_is_not_followed():
    """By-reference relationships (C.17.3.2.5), also to itself and to nothing."""
    refer = {"RelationshipType": "INFERRED FROM"}
    found = document(
        content("NUM", "Size", elements(**refer, ReferencedContentItemIdentifier="1\\1"),
                MeasuredValueSequence=number("3", "mm", "mm")),
        elements(**refer, ReferencedContentItemIdentifier="1\\9"),
        elements(**refer, ReferencedContentItemIdentifier=MARKUP),
    )  # fmt: skip
    page = page_of(found)
    assert '<div class="item num" id="item-1.1">' in page
    assert '<a href="#item-1.1">→ Size: 3 mm</a>' in page
    assert "→ 1.9" in page
    assert "<script" not in page
    assert "see Size: 3 mm" in text_of(found)


def test_references_are_links_only_where_they_lead_somewhere():
    image = reference("1.2.3", ReferencedFrameNumber="7", ReferencedSOPSequence=reference("1.4"))
    found = document(content("IMAGE", "", ReferencedSOPSequence=image))

    def link(each):
        return "" if each.sop_instance_uid == "1.4" else f"/a&b/{each.sop_instance_uid}"

    page = page_of(found, link=link)
    assert '<a href="/a&amp;b/1.2.3" title="1.2.3">CT Image, Frame 7</a>' in page
    assert page.count("<a ") == 1
    assert '<span class="uid">1.4</span>' in page


def test_what_is_said_of_a_report_as_a_whole():
    observer = elements(
        VerifyingObserverName="Doe^Ada", VerifyingOrganization="Clinic",
        VerificationDateTime="20260102101112",
    )  # fmt: skip
    found = document(
        CompletionFlag="COMPLETE", VerificationFlag="<b>", PatientName="Roe^Jo", PatientID="7",
        PatientBirthDate="19700102", VerifyingObserverSequence=[observer], PreliminaryFlag="FINAL",
    )  # fmt: skip
    assert found.states == ("complete", "final")
    assert found.facts == (
        ("Patient", "Roe, Jo"), ("Patient ID", "7"), ("Birth date", "1970-01-02"),
        ("Verified by", "Doe, Ada, Clinic, 2026-01-02 10:11:12"),
    )  # fmt: skip


def test_a_report_without_content_or_names_is_one():
    """OHIF/Viewers#6139: a measurement report without its body took the viewer down."""
    root = elements(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33", SeriesDescription="Series")
    found = read_document(root)
    assert '<h1 dir="auto">Series</h1>' in page_of(found)
    unnamed = document(content("CONTAINER", "", content("TEXT", "", TextValue="said")))
    assert '<section>\n<div class="item text">' in page_of(unnamed)
    assert text_of(unnamed).endswith("\n  said")
    assert read_document(elements(SOPClassUID="1.2.840.10008.5.1.4.1.1.2")) is None


def test_too_much_is_cut_and_says_so_first_and_last():
    found = document(*(content("TEXT", TextValue=str(n)) for n in range(50)), most=20)
    assert not found.is_whole
    assert page_of(found).count("too large to be shown") == 2
    assert text_of(found).count("too large to be shown") == 2
    assert len(list(found.root.walk())) == 21


def test_a_text_that_is_not_read_is_not_left_out_silently():
    tag = tag_of("TextValue")
    item = content("TEXT")
    bulk = DataElement(tag, "UT", BulkData(0, 9_000_000))
    found = document(ElementSet({**item.elements, tag: bulk}))
    assert "9000000 bytes" in page_of(found)


def test_any_depth_is_written():
    item = content("TEXT", TextValue="deepest")
    for _ in range(95):
        item = content("TEXT", "Level", item, TextValue="x")
    found = document(item)
    page = page_of(found)
    assert page.count('<div class="within">') == 12
    assert page.count("<div") == page.count("</div>")
    assert "deepest" in text_of(found)


class _Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.names, self.text = set(), set(), ""

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.names |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.text += data


@settings(deadline=None)
@given(st.text() | st.just(MARKUP), st.text(max_size=20) | st.just(MARKUP))
def test_whatever_the_text_nothing_of_it_is_markup(text, kind):
    text = text.encode("utf-8", "replace").decode()
    kind = kind.encode("utf-8", "replace").decode()
    image = reference(text, kind, ReferencedFrameNumber=text)
    found = document(
        content("TEXT", text, TextValue=text),
        content("PNAME", text, PersonName=text),
        content(kind, text, content("IMAGE", text, ReferencedSOPSequence=image)),
        ConceptNameCodeSequence=code(text), PatientName=text, CompletionFlag=text,
    )  # fmt: skip
    page = _Page()
    page.feed(page_of(found, link=lambda each: each.sop_instance_uid, language=text))
    assert page.tags <= {
        "html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "h3", "dl", "dt",
        "dd", "div", "section", "p", "span", "a",
    }  # fmt: skip
    assert page.names <= {
        "lang", "charset", "name", "content", "http-equiv", "class", "id", "dir", "href", "title",
    }  # fmt: skip
    text_of(found).encode()
