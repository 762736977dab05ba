"""How values of keys become conditions (PS3.4 C.2.2.2)."""

import pytest
from hypothesis import given, strategies as st

from pacs_core.contracts import (
    AnyOf,
    DateTimeRange,
    Empty,
    InvalidKeyError,
    KeyMatching,
    PersonName,
    Range,
    SequenceMatch,
    SingleValue,
    UidList,
    Wildcard,
)
from pacs_core.dataset import tag_of

DATE, TIME = tag_of("StudyDate"), tag_of("StudyTime")
MOMENT = tag_of("AcquisitionDateTime")
NAME, ID = tag_of("PatientName"), tag_of("PatientID")
UID, NUMBER = tag_of("StudyInstanceUID"), tag_of("SeriesNumber")
MODALITIES = tag_of("ModalitiesInStudy")
CODES, CODE = tag_of("ProcedureCodeSequence"), tag_of("CodeValue")


def condition(tag, *values, **options):
    keys = {tag: values}
    found = KeyMatching(**options).conditions(keys, keys)
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize(
    ("tag", "value", "expected"),
    [
        # C.2.2.2.1 single value
        (ID, "P1", SingleValue(ID, "P1")),
        (NUMBER, "3", SingleValue(NUMBER, "3")),
        (DATE, "20200131", SingleValue(DATE, "20200131")),
        (DATE, "2020.01.31", SingleValue(DATE, "20200131")),
        (TIME, "1030", Range(TIME, "1030", "1030")),
        (UID, "1.2.3", SingleValue(UID, "1.2.3")),
        # C.2.2.2.3 universal
        (ID, "", None),
        (ID, "*", None),
        (ID, "**", None),
        (UID, "*", None),
        (DATE, "*", None),
        (NUMBER, "*", None),
        (DATE, "-", None),
        # C.2.2.2.4 wild card, and where it is none
        (ID, "P*", Wildcard(ID, "P*")),
        (ID, "P?", Wildcard(ID, "P?")),
        (NUMBER, "3?", SingleValue(NUMBER, "3?")),
        # C.2.2.2.5 range
        (DATE, "20200101-20200131", Range(DATE, "20200101", "20200131")),
        (DATE, "20200101-", Range(DATE, "20200101", "")),
        (DATE, "-20200131", Range(DATE, "", "20200131")),
        (TIME, "10-1130", Range(TIME, "10", "1130")),
        (TIME, "10:30-", Range(TIME, "10:30", "")),
        (MOMENT, "2020-2021", Range(MOMENT, "2020", "2021")),
        (MOMENT, "20200131", Range(MOMENT, "20200131", "20200131")),
        # C.2.2.2.7 empty value
        (ID, '""', AnyOf(ID, (Empty(ID), SingleValue(ID, '""')))),
        (DATE, '""', Empty(DATE)),
        # Names: folded, in groups
        (NAME, "DOE^J*", PersonName(NAME, ("doe^j*",))),
        (NAME, "a=b=c=d", PersonName(NAME, ("a", "b", "c"))),
        (NAME, "=山田*", PersonName(NAME, ("", "山田*"))),
        (NAME, "^^", None),
    ],
)
def test_matching_types(tag, value, expected):
    assert condition(tag, *([value] if value else [])) == expected


def test_lists_of_uids_and_of_plain_values():
    """PS3.4 C.2.2.2.2, C.2.2.2.8."""
    assert condition(UID, "1.2", "1.3") == UidList(UID, ("1.2", "1.3"))
    assert condition(UID, "1.2", "") == SingleValue(UID, "1.2")
    assert condition(MODALITIES, "CT", "MR") == UidList(MODALITIES, ("CT", "MR"))


def test_fuzzy_names():
    assert condition(NAME, "Doe", fuzzy_names=True) == PersonName(NAME, ("doe",), fuzzy=True)


@pytest.mark.parametrize(
    ("value", "start", "end"),
    [
        ("2020+0100", "2020+0100", "2020+0100"),
        ("202001311000-0500", "202001311000-0500", "202001311000-0500"),
        ("2020-2021", "2020", "2021"),
        ("2020-1300", "2020", "1300"),
        ("2020-1200", "2020-1200", "2020-1200"),
        ("2020-0500-2021-0500", "2020-0500", "2021-0500"),
        (
            "20200131100000+0000-20200131060000.5-0500",
            "20200131100000+0000",
            "20200131060000.5-0500",
        ),
        ("-2021-0500", "", "2021-0500"),
        ("2020-0500-", "2020-0500", ""),
    ],
)
def test_offsets_from_utc(value, start, end):
    """PS3.4 C.2.2.2.5.3: of any precision; a hyphen and up to 1200 is an offset (PS3.5 6.2)."""
    if value == "2020-1300":
        with pytest.raises(InvalidKeyError, match="ends before it begins"):
            condition(MOMENT, value)
    else:
        assert condition(MOMENT, value) == Range(MOMENT, start, end)


def test_a_zone_of_the_request_makes_moments_of_dates_and_times():
    """PS3.4 C.2.2.2.1.3; a date of birth is none."""
    birth = tag_of("PatientBirthDate")
    keys = {DATE: ("20200101",), TIME: ("10-12",), MOMENT: ("2020",), birth: ("19700101",)}
    assert set(KeyMatching(offset="-0500").conditions(keys, keys)) == {
        DateTimeRange(
            DATE, TIME, "20200101", "10", "20200101", "12", combined=False, offset="-0500"
        ),
        Range(MOMENT, "2020", "2020", "-0500"),
        SingleValue(birth, "19700101"),
    }
    alone = KeyMatching(offset="+0100").conditions({TIME: ("1030",)}, [TIME])
    assert alone == (
        DateTimeRange(DATE, TIME, "", "1030", "", "1030", combined=False, offset="+0100"),
    )


def test_several_values():
    """PS3.4 C.2.2.2.8: any of them, whatever the VR; all where negotiated."""
    doe, roe = condition(NAME, "Doe"), condition(NAME, "Roe*")
    assert condition(NAME, "Doe", "Roe*") == AnyOf(NAME, (doe, roe))
    assert condition(NUMBER, "1", "2") == AnyOf(
        NUMBER, (SingleValue(NUMBER, "1"), SingleValue(NUMBER, "2"))
    )
    assert condition(DATE, "20200101", "2021.01.01-") == AnyOf(
        DATE, (SingleValue(DATE, "20200101"), Range(DATE, "2021.01.01", ""))
    )
    assert condition(ID, "P*", "Q") == AnyOf(ID, (Wildcard(ID, "P*"), SingleValue(ID, "Q")))
    assert condition(ID, "*", "Q") is None
    every = KeyMatching(multiple_values=True)
    keys = {MODALITIES: ("CT", "PT"), UID: ("1.2", "1.3"), DATE: ("20200101", "20200102")}
    assert set(every.conditions(keys, keys)) == {
        SingleValue(MODALITIES, "CT"),
        SingleValue(MODALITIES, "PT"),
        UidList(UID, ("1.2", "1.3")),
        AnyOf(DATE, (SingleValue(DATE, "20200101"), SingleValue(DATE, "20200102"))),
    }
    with pytest.raises(InvalidKeyError):
        every.conditions({MODALITIES: ("C*", "PT")}, [MODALITIES])


def test_two_quotation_marks():
    """PS3.4 C.2.2.2.7: negotiated they mean what is empty, else they may be text as well."""
    assert condition(ID, '""', empty_values=True) == Empty(ID)
    assert condition(ID, '""') == AnyOf(ID, (Empty(ID), SingleValue(ID, '""')))
    assert condition(NAME, '""') == AnyOf(NAME, (Empty(NAME), SingleValue(NAME, '""')))
    assert condition(DATE, '""') == Empty(DATE)


def test_sequences_match_by_their_item():
    """PS3.4 C.2.2.2.6; an item without values is universal."""
    assert condition(CODES, {CODE: ("T-D*",)}) == SequenceMatch(CODES, (Wildcard(CODE, "T-D*"),))
    assert condition(CODES, {CODE: ()}) is None
    assert condition(CODES, {}) is None
    assert condition(CODES) is None


@pytest.mark.parametrize(
    ("tag", "values"),
    [
        (DATE, ("202001*",)),
        (DATE, ("yesterday",)),
        (DATE, ("20200101-garbage",)),
        (DATE, ("20200102-20200101",)),
        (TIME, ("1030-1100-1200",)),
        (TIME, ("2300-0100",)),
        (MOMENT, ("2021-2020",)),
        (MOMENT, ("2020+1500",)),
        (MOMENT, ("20201399000000+0100",)),
        (UID, ("1.2.*",)),
        (UID, ("1.2.3", "1.2.?")),
        (CODES, ({}, {})),
        (CODES, ("text",)),
        (ID, ({},)),
    ],
)
def test_what_cannot_be_matched_is_refused(tag, values):
    with pytest.raises(InvalidKeyError) as caught:
        condition(tag, *values)
    assert caught.value.tag == tag
    assert len(caught.value.comment) <= 64


def test_date_and_time_combine_where_negotiated():
    """PS3.4 C.2.2.2.5.4."""
    keys = {DATE: ("20200101-20200103",), TIME: ("1000-1800",), ID: ("P1",)}
    apart = KeyMatching().conditions(keys, keys)
    assert set(apart) == {
        Range(DATE, "20200101", "20200103"),
        Range(TIME, "1000", "1800"),
        SingleValue(ID, "P1"),
    }
    combined = KeyMatching(combined_date_time=True).conditions(keys, keys)
    assert set(combined) == {
        DateTimeRange(DATE, TIME, "20200101", "1000", "20200103", "1800"),
        SingleValue(ID, "P1"),
    }


def test_a_time_without_a_date_range_stays_apart():
    keys = {DATE: ("20200101",), TIME: ("1000-1800",)}
    found = KeyMatching(combined_date_time=True).conditions(keys, keys)
    assert set(found) == {SingleValue(DATE, "20200101"), Range(TIME, "1000", "1800")}


@given(
    st.sampled_from([DATE, TIME, MOMENT, NAME, ID, UID, NUMBER, CODES]),
    st.lists(st.text(max_size=30), max_size=3),
)
def test_any_text_is_matched_or_refused(tag, values):
    keys = {tag: tuple(values)}
    refused = False
    try:
        found = KeyMatching(combined_date_time=True).conditions(keys, keys)
    except InvalidKeyError as error:
        refused = error.tag == tag
    assert refused or all(condition.tag == tag for condition in found)
