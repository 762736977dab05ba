"""Query strings of searches (PS3.18 §8.3.4)."""

from contextlib import suppress
from urllib.parse import quote

import pytest
from hypothesis import given, strategies as st
from pacs_dicomweb.search_parameters import (
    MOST,
    InvalidParameterError,
    SearchParameters,
    read_query,
    read_search,
)

from pacs_core.contracts import Order
from pacs_core.dataset import tag_of


def read(query: str) -> SearchParameters:
    return read_search(read_query(query))


def test_what_ohif_asks_for():
    found = read(
        "limit=101&offset=0&fuzzymatching=true"
        "&includefield=00081030%2C00080060%2C00080090%2C00100030"
    )
    assert found.limit == 101
    assert found.offset == 0
    assert found.fuzzy_names
    assert found.included == {0x00081030, 0x00080060, 0x00080090, 0x00100030}
    assert not found.warnings
    assert not found.keys


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("PatientID=1", {0x00100020: ("1",)}),
        ("00100020=1", {0x00100020: ("1",)}),
        ("0020000d=1.2", {0x0020000D: ("1.2",)}),
        ("PatientID=", {0x00100020: ()}),
        ("PatientID", {0x00100020: ()}),
        ("PatientName=D%C3%B6e*", {0x00100010: ("Döe*",)}),
        ("PatientName=Doe,%20Jane", {0x00100010: ("Doe, Jane",)}),
        ("StudyInstanceUID=1.2,1.3", {0x0020000D: ("1.2", "1.3")}),
        ("StudyInstanceUID=1.2%5C1.3", {0x0020000D: ("1.2", "1.3")}),
        ("StudyInstanceUID=1.2&StudyInstanceUID=1.3", {0x0020000D: ("1.2", "1.3")}),
        ("ModalitiesInStudy=CT%5CMR", {0x00080061: ("CT", "MR")}),
        ("StudyDate=20200101-20201231", {0x00080020: ("20200101-20201231",)}),
        (
            "RequestAttributesSequence.ScheduledProcedureStepID=7",
            {0x00400275: ({0x00400009: ("7",)},)},
        ),
        (
            "00400275.00400009=7&RequestAttributesSequence.00401001=8",
            {0x00400275: ({0x00400009: ("7",), 0x00401001: ("8",)},)},
        ),
        ("RequestAttributesSequence=", {0x00400275: ()}),
        (
            "RequestAttributesSequence=&RequestAttributesSequence.ScheduledProcedureStepID=7",
            {0x00400275: ({0x00400009: ("7",)},)},
        ),
        ("accept=application/dicom%2Bjson&charset=utf-8", {}),
    ],
)
def test_keys(query, keys):
    found = read(query)
    assert found.keys == keys
    assert not found.warnings


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("PatientId=1", "no attribute 'PatientId'"),
        ("limit=-1", "limit is a number"),
        ("limit=", "limit is a number"),
        ("limit=1e3", "limit is a number"),
        ("limit=%D9%A1%C2%B2", "limit is a number"),
        ("offset=x", "offset is a number"),
        ("fuzzymatching=maybe", "true or false"),
        ("PatientID.PatientName=x", "no sequence"),
        ("RequestAttributesSequence=7", "is a sequence"),
        ("RequestAttributesSequence.Nothing=7", "no attribute"),
        (".".join(["RequestAttributesSequence"] * 20) + ".PatientID=1", "too deeply"),
        ("orderby=Nothing", "no attribute"),
        ("PatientID=%FF", "not UTF-8"),
        ("&".join(["a=1"] * 5000), "more than 4096"),
        ("TimezoneOffsetFromUTC=Berlin", r"\+0100"),
    ],
)
def test_mistakes(query, message):
    with pytest.raises(InvalidParameterError, match=message):
        read(query)


def test_fields():
    found = read("includefield=all&includefield=PatientAge,00081030&includefield=")
    assert found.include_all
    assert found.included == {tag_of("PatientAge"), 0x00081030}


def test_what_is_unknown_is_told():
    found = read("includefield=Nonsense&_=1234&includefield=00400275.00400009")
    assert found.included == {0x00400275}
    assert len(found.warnings) == 2
    assert "Nonsense" in found.warnings[0]


def test_a_thousand_fields():
    found = read("&".join(f"includefield={number:08X}" for number in range(1000)))
    assert len(found.included) == 1000


def test_numbers_without_end():
    assert read("limit=" + "9" * 5000).limit == MOST
    assert read("offset=0000000000000000000001").offset == 1


def test_zone_and_order():
    found = read("TimezoneOffsetFromUTC=+0100&orderby=-StudyDate,PatientName")
    assert found.zone == "+0100"
    assert found.order == (
        Order(tag_of("StudyDate"), descending=True),
        Order(tag_of("PatientName")),
    )


TEXTS = st.text(st.characters(exclude_characters="\\,", exclude_categories=["Cs"]), min_size=1)
PLAIN = st.sampled_from(
    sorted(t for t in map(tag_of, ["PatientName", "PatientID", "StudyID", "StationName"]))
)


@given(st.dictionaries(PLAIN, TEXTS), st.integers(0, 10**9), st.booleans())
def test_round_trip(keys, limit, flag):
    query = "&".join(f"{tag:08X}={quote(value)}" for tag, value in keys.items())
    found = read(f"{query}&limit={limit}&fuzzymatching={str(flag).lower()}")
    assert found.keys == {tag: (value,) for tag, value in keys.items()}
    assert (found.limit, found.fuzzy_names) == (limit, flag)


@given(st.text(max_size=80))
def test_whatever_comes_is_read_or_refused(query):
    with suppress(InvalidParameterError):
        read(query)


@pytest.mark.parametrize(
    "query",
    [
        "StudyDate=20241399",
        "StudyDate=20240100",
        "StudyDate=20240101-20241301",
        "StudyDate=-20200214171717",
        "StudyDate=2024.13.01",
        "StudyTime=25",
        "StudyTime=0860",
        "StudyTime=080061",
        "StudyTime=08:00-25:00",
        "RequestAttributesSequence.ScheduledProcedureStepStartDate=20241301",
    ],
)
def test_what_is_in_no_calendar_and_on_no_clock_is_refused(query):
    """dcm4chee-arc-light 2480: such a value was passed over, and the count was that of all."""
    with pytest.raises(InvalidParameterError, match="there is no"):
        read(query)


@pytest.mark.parametrize(
    "query",
    [
        "StudyDate=20240229",
        "StudyDate=00000101-",
        "StudyDate=-20241231",
        "StudyDate=20240101%20-%2020241231",
        "StudyDate=2024.12.31",
        "StudyDate=*",
        'StudyDate=""',
        "StudyTime=08",
        "StudyTime=0830-2400",
        "StudyTime=235960.999999",
        "StudyTime=08:30:15-",
    ],
)
def test_what_is_in_a_calendar_and_on_a_clock_is_taken(query):
    assert any(read(query).keys.values())


@pytest.mark.parametrize(
    "query",
    [
        "SeriesNumber=x",
        "SeriesNumber=1,2",
        "SeriesNumber=1*",
        "InstanceNumber=1.5",
        "InstanceNumber=1\\x",
        "SliceThickness=thin",
        "Rows=0x200",
        "RequestAttributesSequence.00280010=-",
    ],
)
def test_what_is_no_number_is_refused_where_nothing_else_could_match(query):
    """PS3.5 Table 6.2-1: it was taken for a number that no series has."""
    with pytest.raises(InvalidParameterError, match="is no number"):
        read(query)


@pytest.mark.parametrize(
    "query",
    [
        "SeriesNumber=3",
        "SeriesNumber=%20-03%20",
        "SeriesNumber=+3",
        "SeriesNumber=*",
        'SeriesNumber=""',
        "InstanceNumber=1\\2",
        "SliceThickness=2.50",
        "SliceThickness=.5E-3",
        "Rows=512",
    ],
)
def test_numbers_are_taken_and_what_matches_any_or_none(query):
    assert any(read(query).keys.values())
