# ruff: noqa: D102 - the names of the tests are their documentation
"""Dates, times and numbers that every index must match by what they mean."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pacs_core.contracts import (
    AnyOf,
    DateTimeRange,
    Index,
    Level,
    Range,
    SequenceMatch,
    SingleValue,
    Wildcard,
)
from pacs_core.dataset import tag_of
from pacs_core.testing.index_harness import found, make_record, name

FOUND = ["1.2.3.1.1.1"]
STUDY_DATE, STUDY_TIME = tag_of("StudyDate"), tag_of("StudyTime")
MOMENT = tag_of("AcquisitionDateTime")


@contextmanager
def archive_zone(zone: str) -> Iterator[None]:
    """Have the process in a time zone, in POSIX form: ``XXX-2`` is two hours ahead of UTC."""
    former = os.environ.get("TZ")
    os.environ["TZ"] = zone
    time.tzset()
    try:
        yield
    finally:
        os.environ.pop("TZ") if former is None else os.environ.update(TZ=former)
        time.tzset()


class IndexMoments:
    """Tests of dates, times and date-times (PS3.4 C.2.2.2.1.3, C.2.2.2.5), and of numbers."""

    @pytest.mark.parametrize(
        ("value", "start", "end", "hit"),
        [
            # An offset of its own (PS3.4 C.2.2.2.5.3): the moment counts.
            ("20240110230000.000000-0500", "20240110230000.000000-0500", "", True),
            ("20240110230000.000000-0500", "20240111040000+0000", "20240111040000+0000", True),
            ("20240110230000.000000-0500", "202401102300-0500", "202401102300-0500", True),
            ("20240110230000.000000-0500", "20240111+0000", "20240111+0000", True),
            ("20240110230000.000000-0500", "20240110+0000", "20240110+0000", False),
            ("20240110230000.000000-0500", "20240110-0500", "20240110-0500", True),
            ("20240110230000.000000-0500", "2024-0500", "2024+0100", True),
            ("20240110230000.000000-0500", "", "20240111035959+0000", False),
            ("20240110230000.000000-0500", "20240111040001+0000", "", False),
            # A key without an offset is meant in the archive's zone, here two hours ahead of UTC.
            ("20240110230000.000000-0500", "2024011106", "2024011106", True),
            ("20240110230000.000000-0500", "20240111", "20240111", True),
            ("20240110230000.000000-0500", "20240110", "20240110", False),
            # A value without an offset, likewise.
            ("20240110230000", "20240110", "20240110", True),
            ("20240110230000", "2024011021+0000", "2024011021+0000", True),
            ("20240110230000", "2024011023+0000", "2024011023+0000", False),
            ("20240110230000", "2024011016-0500", "2024011016-0500", True),
            # Reduced precision, leap seconds, midnight as 24, the end of February.
            ("202401-0500", "202401-0500", "202401-0500", True),
            ("202402+0100", "202402+0100", "202402+0100", True),
            ("20161231235960+0000", "20161231235960+0000", "20161231235960+0000", True),
            ("20170101005960+0100", "20161231235960+0000", "20161231235960+0000", True),
            ("20240110240000+0000", "20240111000000+0000", "20240111000000+0000", True),
            ("20240110240000", "20240110240000", "20240110240000", True),
            ("20241399000000+0100", "20240101", "20241231", False),
        ],
    )
    async def test_date_times_with_offsets(
        self, index: Index, value: str, start: str, end: str, hit: bool
    ) -> None:
        await index.add(make_record(AcquisitionDateTime=value))
        with archive_zone("XXX-2"):
            assert await found(index, Level.IMAGE, Range(MOMENT, start, end)) == FOUND * hit

    @pytest.mark.parametrize(
        ("key", "offset", "hit"),
        [
            ("20240110230000", "", True),
            ("20240110", "", True),
            ("20240111", "", False),
            ("20240111040000+0000", "", True),
            ("20240111040000", "+0000", True),
            ("20240110230000", "-0500", True),
            ("20240110230000", "+0000", False),
        ],
    )
    async def test_date_times_in_an_instance_with_an_offset(
        self, index: Index, key: str, offset: str, hit: bool
    ) -> None:
        """PS3.3 C.12.1.1.8: it applies to DT values without an offset of their own."""
        await index.add(
            make_record(AcquisitionDateTime="20240110230000", TimezoneOffsetFromUTC="-0500")
        )
        condition = Range(MOMENT, key, key, offset)
        assert await found(index, Level.IMAGE, condition) == FOUND * hit

    async def test_offsets_of_several_date_times(self, index: Index) -> None:
        values = ["20240110230000-0500", "20250110230000"]
        await index.add(make_record(AcquisitionDateTime=values, TimezoneOffsetFromUTC="-0500"))
        for key in ("20240111040000+0000", "20250111040000+0000", "20250110230000"):
            assert await found(index, Level.IMAGE, SingleValue(MOMENT, key)) == FOUND

    @pytest.mark.parametrize(
        ("date", "time", "offset", "hit"),
        [
            ("20240111-20240111", "030000-050000", "+0000", True),
            ("20240111", "", "+0000", True),
            ("20240110", "", "+0000", False),
            ("20240110", "", "-0500", True),
            ("20240110", "2300", "-0500", True),
            ("20240110", "2300", "+0000", False),
            ("", "0400", "+0000", True),
            ("", "2300", "+0000", False),
            ("20240110-", "0000-0600", "+0000", True),
            ("-20240110", "", "+0000", False),
        ],
    )
    @pytest.mark.parametrize("keyword", ["Study", "Series", "Content"])
    async def test_dates_and_times_in_another_zone(
        self, index: Index, keyword: str, date: str, time: str, offset: str, hit: bool
    ) -> None:
        """PS3.4 C.2.2.2.1.3, C.2.2.2.5.2, with Timezone Offset From UTC on both sides."""
        values = {f"{keyword}Date": "2024.01.10", f"{keyword}Time": "23:00:00"}
        await index.add(make_record(TimezoneOffsetFromUTC="-0500", **values))
        condition = _pair(keyword, date, time, combined=False, offset=offset)
        assert await found(index, Level.IMAGE, condition) == FOUND * hit

    @pytest.mark.parametrize(
        ("date", "time", "hit"),
        [
            ("20240110-20240111", "2200-0500", True),
            ("20240111-20240111", "0300-0500", True),
            ("20240110-20240111", "0000-0300", False),
        ],
    )
    async def test_combined_ranges_in_another_zone(
        self, index: Index, date: str, time: str, hit: bool
    ) -> None:
        """PS3.4 C.2.2.2.5.4, note: the offset may effect a change in date."""
        await index.add(
            make_record(StudyDate="20240110", StudyTime="230000", TimezoneOffsetFromUTC="-0500")
        )
        condition = _pair("Study", date, time, combined=True, offset="+0000")
        assert await found(index, Level.STUDY, condition) == ["1.2.3.1"] * hit

    async def test_dates_and_times_without_an_offset_are_in_the_zone_of_the_archive(
        self, index: Index
    ) -> None:
        await index.add(make_record(StudyDate="20240110", StudyTime="0100"))
        with archive_zone("XXX-2"):
            for date, hit in (("20240109", True), ("20240110", False)):
                condition = _pair("Study", date, "", combined=False, offset="+0000")
                assert await found(index, Level.STUDY, condition) == ["1.2.3.1"] * hit

    @pytest.mark.parametrize(
        ("date", "offset", "hit"),
        [
            ("20240110", "", True),
            ("20240110", "-0500", True),
            ("20240111", "+0000", True),
            ("20240110", "+0000", False),
        ],
    )
    async def test_the_offset_holds_in_sequences(
        self, index: Index, date: str, offset: str, hit: bool
    ) -> None:
        step = {
            "ScheduledProcedureStepStartDate": "20240110",
            "ScheduledProcedureStepStartTime": "2300",
        }
        await index.add(
            make_record(TimezoneOffsetFromUTC="-0500", RequestAttributesSequence=[step])
        )
        inner = _pair("ScheduledProcedureStepStart", date, "", combined=False, offset=offset)
        condition = SequenceMatch(tag_of("RequestAttributesSequence"), (inner,))
        assert await found(index, Level.SERIES, condition) == ["1.2.3.1.1"] * hit

    @pytest.mark.parametrize("offset", ["[", "\n", "+0", "UTC\n[{", "x" * 1000, "-0500\\+0100"])
    async def test_an_offset_that_is_none_hides_nothing(self, index: Index, offset: str) -> None:
        values = {"SeriesDate": "20240110", "SeriesTime": "230000", "AcquisitionDateTime": "2024"}
        step = {"ScheduledProcedureStepID": "S\n1"}
        await index.add(
            make_record(TimezoneOffsetFromUTC=offset, RequestAttributesSequence=[step], **values)
        )
        inner = SingleValue(tag_of("ScheduledProcedureStepID"), "S\n1")
        for condition in (
            SequenceMatch(tag_of("RequestAttributesSequence"), (inner,)),
            _pair("Series", "20240109-20240111", "", combined=False, offset="+0000"),
            Range(MOMENT, "2024", "2024"),
        ):
            assert await found(index, Level.IMAGE, condition) == FOUND

    async def test_each_level_has_its_own_offset(self, index: Index) -> None:
        """A study may have series from devices in different zones."""
        for n, offset in (("1.1.1", "-0500"), ("1.2.1", "+0100")):
            values = {"SeriesDate": "20240110", "SeriesTime": "230000"}
            await index.add(make_record(n, TimezoneOffsetFromUTC=offset, **values))
        condition = _pair("Series", "20240111", "", combined=False, offset="+0000")
        assert await found(index, Level.SERIES, condition) == ["1.2.3.1.1"]
        key = "TimezoneOffsetFromUTC"
        assert await found(index, Level.SERIES, key=key) == ["-0500", "+0100"]

    @pytest.mark.parametrize(
        ("keyword", "value", "key", "hit"),
        [
            ("StudyDate", "2003.05.05", "20030505", True),
            ("StudyDate", "20030505", "2003.05.05", True),
            ("StudyTime", "12:30:00", "123000", True),
            ("StudyTime", "123000", "1230", True),
            ("StudyTime", "240000", "240000", True),
            ("AcquisitionDateTime", "19980128103000.0000", "19980128103000", True),
            ("SeriesNumber", "+5", "5", True),
            ("SeriesNumber", "007", "7", True),
            ("SeriesNumber", "7", "8", False),
            ("SeriesNumber", "1e3", "1e3", True),
            ("SeriesNumber", "seven", "seven", True),
            ("SeriesNumber", "seven", "0", False),
            ("PatientWeight", "070.50", "70.5", True),
            ("PatientWeight", "1e3", "1000", True),
            ("PatientWeight", "many", "many", True),
            ("PatientWeight", "many", "0", False),
        ],
    )
    async def test_values_are_equal_by_what_they_mean(
        self, index: Index, keyword: str, value: str, key: str, hit: bool
    ) -> None:
        await index.add(make_record(**{keyword: value}))
        condition = SingleValue(tag_of(keyword), key)
        assert await found(index, Level.IMAGE, condition) == FOUND * hit

    async def test_any_of_several_numbers(self, index: Index) -> None:
        await index.add(make_record(PatientWeight=["70.0", "80"], SeriesNumber=["1", "x"]))
        for keyword, key in (("PatientWeight", "70"), ("PatientWeight", "8e1")):
            assert await found(index, Level.IMAGE, SingleValue(tag_of(keyword), key)) == FOUND
        for key in ("1", "x"):
            condition = SingleValue(tag_of("SeriesNumber"), key)
            assert await found(index, Level.IMAGE, condition) == FOUND

    async def test_any_of_several_keys(self, index: Index) -> None:
        """PS3.4 C.2.2.2.8."""
        await index.add(make_record("1.1.1", PatientName="DOE^A", StudyDate="20240101"))
        await index.add(make_record("2.1.1", PatientID="P2", PatientName="ROE^B"))
        tag = tag_of("PatientName")
        both = AnyOf(tag, (name("doe*"), name("roe^b")))
        assert await found(index, Level.PATIENT, both) == ["P1", "P2"]
        dates = AnyOf(
            STUDY_DATE, (SingleValue(STUDY_DATE, "20240101"), Range(STUDY_DATE, "2025", ""))
        )
        assert await found(index, Level.STUDY, dates) == ["1.2.3.1"]
        neither = AnyOf(tag, (name("x*"), name("y*")))
        assert await found(index, Level.PATIENT, neither) == []

    async def test_counts_match_any_of_several_numbers(self, index: Index) -> None:
        await index.add(make_record())
        tag = tag_of("NumberOfStudyRelatedSeries")
        for keys, hit in ((("1", "2"), True), (("2", "x"), False)):
            condition = AnyOf(tag, tuple(SingleValue(tag, key) for key in keys))
            assert await found(index, Level.STUDY, condition) == ["1.2.3.1"] * hit

    @pytest.mark.parametrize("pattern", ["a\\b*", "*b", "a?b", "a\\b"])
    async def test_a_backslash_is_text_in_long_text(self, index: Index, pattern: str) -> None:
        """PS3.5 §6.2: LT, ST, UT and UR have one value."""
        await index.add(make_record(PatientComments="a\\b"))
        condition = Wildcard(tag_of("PatientComments"), pattern)
        assert await found(index, Level.PATIENT, condition) == ["P1"]


def _pair(keyword: str, date: str, time: str, *, combined: bool, offset: str) -> DateTimeRange:
    dates, times = (
        tuple(text.split("-")) if "-" in text else (text, text) for text in (date, time)
    )
    tags = tag_of(keyword + "Date"), tag_of(keyword + "Time")
    return DateTimeRange(
        *tags, dates[0], times[0], dates[1], times[1], combined=combined, offset=offset
    )
