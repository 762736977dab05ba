"""Metadata of a submission (ebRIM 3.0): what does not fit into a value."""

from datetime import UTC, datetime

import pytest
from lxml import etree
from schemas import check_schema

from pacs_xds.ebxml import CODES, Code, Document, Submission, make_submission
from pacs_xds.soap.xml import RIM, find_all

NOW = datetime(2026, 11, 29, 10, 30, tzinfo=UTC)
LONG = "x" * 2000


def test_texts_of_any_length_fit_and_identifiers_are_whole_or_left_out():
    """rim.xsd: a LongName has 256 characters, a FreeFormText 1,024."""
    code = Code(LONG, LONG, LONG)
    document = Document(
        "urn:uuid:1", "1.2", "4711^^^&1.2.3&ISO", "4711^^^&1.2.3&ISO",
        ("PID-5|Müller^Jürgen", f"PID-11|{LONG}"), NOW, "", dict.fromkeys(CODES, (code,)),
        "de-DE", LONG, LONG, (f"{LONG}^^^&1.2.3&ISO^urn:ihe:iti:xds:2013:accession", "A1"),
    )  # fmt: skip
    submission = Submission("1.2.4", "1.2.5", NOW, code, document.patient_id, LONG, LONG)
    made = make_submission(submission, document, "urn:uuid:1")
    values = [value.text for value in find_all(made, RIM, "Value")]
    assert max(map(len, values)) == 256
    assert "PID-5|Müller^Jürgen" in values
    assert "A1" in values
    assert not [each for each in values if each.startswith("PID-11") or "accession" in each]
    names = [each.get("value") for each in find_all(made, RIM, "LocalizedString")]
    assert max(map(len, names)) == 1024
    coded = [each.get("nodeRepresentation") or "" for each in find_all(made, RIM, "Classification")]
    assert max(map(len, coded)) == 256


def make():
    code = Code("CT", "1.2.3", "Computed tomography")
    cx = "4711^^^&1.2.3&ISO"
    document = Document(
        "urn:uuid:1", "1.2", cx, cx, ("PID-5|Roe^Jane",), NOW, "", dict.fromkeys(CODES, (code,)),
        "de-DE", "CT Head", "Hospital", (),
    )  # fmt: skip
    submission = Submission("1.2.4", "1.2.5", NOW, code, cx, "", "Hospital")
    return make_submission(submission, document, "urn:uuid:1")


def spoil_order(made):
    found = next(made.iter("{*}ExtrinsicObject"))
    found.append(found[0])


def spoil_length(made):
    next(made.iter("{*}Value")).text = "x" * 257


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_order,
        spoil_length,
        lambda made: next(made.iter("{*}ExternalIdentifier")).attrib.pop("id"),
        lambda made: next(made.iter("{*}Classification")).attrib.pop("classifiedObject"),
        lambda made: next(made.iter("{*}Association")).set("targetObject", ""),
        lambda made: etree.SubElement(next(made.iter("{*}Name")), "Value"),
    ],
)
def test_the_schema_finds_what_is_wrong(spoil):
    check_schema(make())
    made = make()
    spoil(made)
    with pytest.raises(etree.DocumentInvalid):
        check_schema(made)
