"""The forms in which dates, times and date-times are compared (PS3.4 C.2.2.2.1.3, C.2.2.2.5).

They match by what they mean, not as text. So a stored value has one or more *comparable* forms, a
key has one or more *bounds*, and the value matches if one of its forms lies, as text, within one of
the bounds. An index stores the forms and needs no calendar.

A DA or TM value has one form: its digits, padded. It means what a clock on the wall showed, and a
key means the same unless it names a zone (`DateTimeRange.offset`).

A DT value is a moment where its offset from UTC is known, so that its forms tell four cases apart:

===================================  ============================  ===========================
stored value                         forms                         found by a key
===================================  ============================  ===========================
with an offset of its own            ``Z`` and UTC                 with an offset: by the moment;
                                                                   without: by the moment in
                                                                   the archive's zone
without, in an instance with         ``L`` and the local time,     with an offset: by the moment;
Timezone Offset From UTC             ``U`` and UTC                 without: as it is written
without any                          the local time                without an offset: as it is
                                                                   written; with: by the moment
                                                                   in the archive's zone
===================================  ============================  ===========================

What is stored does not depend on the archive's zone, which is that of the process: only what a key
becomes does. Seconds are not touched by an offset, which has minutes, so leap seconds stay.
"""

import re
from calendar import monthrange
from datetime import UTC, datetime, timedelta
from typing import Final

from pacs_core.dataset import Attributes, texts
from pacs_core.query.model import DateTimeRange

Bounds = tuple[str, str]
"""The first and the last text that match."""

MOMENT_VRS: Final = frozenset({"DA", "DT", "TM"})
TIMEZONE_OFFSET: Final = 0x0008_0201
LONGEST_SHIFT: Final = timedelta(days=2)
"""A date and the same moment's date in any other zone are less than this apart."""

_WIDEST: Final = {
    "DA": ("00000101", "99991231"),
    "TM": ("000000.000000", "235960.999999"),
    "DT": ("00000101000000.000000", "99991231235960.999999"),
}
_OFFSET: Final = re.compile(r"(.*?)([+-](?:0\d|1[0-4])[0-5]\d)", re.ASCII | re.DOTALL)
_MINUTES: Final = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(.*)", re.ASCII | re.DOTALL)
_UTC: Final = "Z"
_LOCAL: Final = "L"
_IMPLIED: Final = "U"


def timezone_of(attributes: Attributes) -> str:
    """Return a valid Timezone Offset From UTC (PS3.3 C.12.1.1.8), or nothing."""
    (text,) = texts(attributes, TIMEZONE_OFFSET)[:1] or ("",)
    return text if _OFFSET.fullmatch(text) and len(text) == 5 else ""


def comparables(vr: str, value: str, offset: str = "") -> tuple[str, ...]:
    """Return the forms of a stored value; none for an empty one.

    Parameters
    ----------
    vr : str
        ``"DA"``, ``"TM"`` or ``"DT"``.
    value : str
        As stored. What is no date or time is compared as text.
    offset : str
        Timezone Offset From UTC of the instance, for DT.
    """
    if not value.strip():
        return ()
    if vr != "DT":
        return (_expand(vr, plain(vr, value))[0],)
    text, own = split_offset(value.strip())
    local = _expand(vr, text)[0]
    moment = _shift(local, -_minutes(own or offset)) if own or offset else None
    if own:
        return (_expand(vr, value.strip())[0],) if moment is None else (_UTC + moment,)
    if offset:
        return (_LOCAL + local,) if moment is None else (_LOCAL + local, _IMPLIED + moment)
    return (local,)


def range_bounds(vr: str, start: str, end: str, offset: str = "") -> tuple[Bounds, ...]:
    """Return what the bounds of a range become; a value matches within any of the results.

    A bound of reduced precision covers the whole interval that it names: ``1030`` as the end of a
    time range is ``103060.999999`` (PS3.4 C.2.2.2.5).

    Parameters
    ----------
    vr : str
        ``"DA"``, ``"TM"`` or ``"DT"``.
    start, end : str
        Bounds as on the wire; empty is open.
    offset : str
        Of the zone in which DT bounds without an offset are meant; nothing for the archive's.

    Raises
    ------
    ValueError
        A bound with an offset is no moment.
    """
    if vr != "DT":
        return ((_expand(vr, plain(vr, start))[0], _expand(vr, plain(vr, end))[1]),)
    bounds = [_Bound(text.strip(), offset, which) for which, text in enumerate((start, end))]
    local = tuple(bound.local for bound in bounds)
    if not any(bound.zoned for bound in bounds):
        found = [(local[0], local[1]), (_LOCAL + local[0], _LOCAL + local[1])]
    else:
        found = [tuple(bound.in_archive_zone() for bound in bounds)]  # type: ignore[list-item]
    try:
        utc = [bound.utc() for bound in bounds]
    except ValueError:
        if any(bound.zoned for bound in bounds):
            raise
        return tuple(found)
    # A key without an offset means local time. What has an implied zone is found by that above; by
    # its moment it would be found at another time as well.
    forms = (_UTC, _IMPLIED) if any(bound.zoned for bound in bounds) else (_UTC,)
    return (*found, *((form + utc[0], form + utc[1]) for form in forms))


class _Bound:
    """One bound of a range of date-times."""

    def __init__(self, text: str, offset: str, which: int) -> None:
        digits, own = split_offset(text)
        self.open = not text
        self.offset = own or (offset if text else "")
        self.zoned = bool(self.offset)
        self.local = _expand("DT", digits)[which]

    def utc(self) -> str:
        """Return the moment in UTC, without an offset that of the archive's zone."""
        if self.open:
            return self.local
        # A zone's offset depends on the moment, so it is asked for that of this bound.
        minutes = _minutes(self.offset) if self.zoned else archive_offset(self.local)
        moment = _shift(self.local, -minutes)
        if moment is None:
            raise ValueError(f"{self.local} is no moment")
        return moment

    def in_archive_zone(self) -> str:
        """Return what a clock of the archive shows at that moment."""
        if self.open or not self.zoned:
            return self.local
        utc = self.utc()
        return _shift(utc, archive_offset(utc, utc=True)) or self.local


def split_offset(text: str) -> tuple[str, str]:
    """Return a DT value without its offset from UTC, and the offset (PS3.5 Table 6.2-1)."""
    match = _OFFSET.fullmatch(text)
    return (match[1], match[2]) if match and match[1] else (text, "")


def archive_offset(text: str, *, utc: bool = False) -> int:
    """Return the minutes by which the archive's zone was ahead of UTC at a moment."""
    when = _moment(text)
    if when is None:
        return 0
    try:
        local = (when.replace(tzinfo=UTC) if utc else when).astimezone()
        return round((local.utcoffset() or timedelta()) / timedelta(minutes=1))
    except (ValueError, OverflowError, OSError):
        return 0


def offset_text(minutes: int) -> str:
    """Return minutes ahead of UTC as ``&ZZXX``."""
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02}{rest:02}"


def in_zone(date: str, time: str, offset: str, zone: str) -> Bounds:
    """Return a date and time as a clock in another zone showed it (PS3.4 C.2.2.2.5.2).

    Parameters
    ----------
    date, time : str
        As stored. If one of them is missing or no date or time, both stay as they are.
    offset : str
        Of the zone in which they are meant; nothing for the archive's.
    zone : str
        Offset of the zone wanted.
    """
    (date,), (time,) = comparables("DA", date) or ("",), comparables("TM", time) or ("",)
    text = date + time
    if date and time and _moment(text) is not None:
        minutes = _minutes(offset) if offset else archive_offset(text)
        shifted = _shift(text, _minutes(zone) - minutes)
        if shifted is not None:
            return shifted[:8], shifted[8:]
    return date, time


def is_within(condition: DateTimeRange, date: str, time: str, offset: str = "") -> bool:
    """Tell whether a stored date and time match (PS3.4 C.2.2.2.5.4).

    Parameters
    ----------
    condition : DateTimeRange
    date, time : str
        As stored; of several values the first.
    offset : str
        Timezone Offset From UTC of the instance.
    """
    if condition.offset:
        date, time = in_zone(date, time, offset, condition.offset)
    ((first, last),) = range_bounds("DA", condition.start_date, condition.end_date)
    ((earliest, latest),) = range_bounds("TM", condition.start_time, condition.end_time)
    (date,), (time,) = comparables("DA", date) or ("",), comparables("TM", time) or ("",)
    # Date and time are one moment here, and two independent conditions otherwise.
    if condition.combined:
        # Where the time is not known, the date decides.
        after = date > first or not time or time >= earliest
        before = date < last or not time or time <= latest
        return bool(date) and first <= date <= last and after and before
    dated = not (condition.start_date or condition.end_date) or first <= date <= last
    timed = not (condition.start_time or condition.end_time) or earliest <= time <= latest
    return dated and timed


def days_around(condition: DateTimeRange) -> Bounds:
    """Return the dates within which a date may match, in whatever zone it is meant."""
    ((first, last),) = range_bounds("DA", condition.start_date, condition.end_date)
    if not condition.offset:
        return first, last
    # An index first narrows by the date alone, which another zone may move.
    minutes = LONGEST_SHIFT // timedelta(minutes=1)
    earlier = _shift(first + "0000", -minutes) if condition.start_date else None
    later = _shift(last + "0000", minutes) if condition.end_date else None
    return (earlier or _WIDEST["DA"][0])[:8], (later or _WIDEST["DA"][1])[:8]


def _expand(vr: str, text: str) -> Bounds:
    # What is missing is filled up: with the least for a beginning, with the most for an end.
    lowest, highest = _WIDEST[vr]
    return text + lowest[len(text) :], text + highest[len(text) :]


def plain(vr: str, text: str) -> str:
    """Return a DA, TM or DT value without spaces and punctuation of ACR-NEMA.

    That is to be accepted on input (PS3.5 Table 6.2-1, DA and TM).
    """
    if vr == "DA":
        return text.replace(".", "").strip()
    if vr == "TM":
        return text.replace(":", "").strip()
    return text.strip()


def _minutes(offset: str) -> int:
    minutes = int(offset[1:3]) * 60 + int(offset[3:5])
    return -minutes if offset[0] == "-" else minutes


def _moment(text: str) -> datetime | None:
    """Return the minute that an expanded date-time lies in; seconds may be a leap second."""
    if (match := _MINUTES.fullmatch(text)) is None:
        return None
    year, month, day, hour, minute = map(int, match.groups()[:5])
    try:
        # An end of reduced precision has the day 31, and 24:00 is met for midnight.
        day = min(day, monthrange(year, month)[1])
        return datetime(year, month, day) + timedelta(hours=hour, minutes=minute)
    except (ValueError, OverflowError):
        return None


def _shift(text: str, minutes: int) -> str | None:
    """Return an expanded date-time some minutes later; None if it is none, or has no such."""
    if (when := _moment(text)) is None:
        return None
    try:
        moved = when + timedelta(minutes=minutes)
    except OverflowError:
        moved = when
    return f"{moved.year:04}{moved:%m%d%H%M}{text[12:]}"
