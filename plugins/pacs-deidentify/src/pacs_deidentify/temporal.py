"""Dates that are moved by days (PS3.5 §6.2, VRs DA and DT), and times, which stay."""

import re
from datetime import date, timedelta
from typing import Final

# Some devices write more than six digits of a second: they stay, if a date is not among them.
_FRACTION: Final = r"\.(?:\d{1,6}|(?!\d*(?:19|20)\d\d[01]\d[0-3]\d)\d{7,16})"
# What follows the day stays, so it is nothing but a time and an offset: a second date, as of a
# range, would tell by how much the first has moved.
_DATE: Final = re.compile(
    r"(\d{4})[./-]?(\d\d)[./-]?(\d\d)"
    rf"((?:\d\d(?::?\d\d(?::?\d\d(?:{_FRACTION})?)?)?)?(?:[+-]\d{{4}})?) *"
)
_TIME: Final = re.compile(rf"\d\d(?::?[0-5]\d(?::?[0-6]\d(?:{_FRACTION})?)?)?")


def is_time(text: str) -> bool:
    """Tell whether a value of VR TM is a time: some devices write a date before it.

    Examples
    --------
    >>> [is_time(text) for text in ("10", "101530.25", "10:15", "20230817", "20230817101530")]
    [True, True, True, False, False]
    """
    return not text.strip(" \0") or _TIME.fullmatch(text.strip(" \0")) is not None


def shift_date(text: str, days: int) -> str | None:
    """Move a date, or the date of a date and time, whose time and offset stay.

    Parameters
    ----------
    text : str
        One value of VR DA or DT.
    days : int

    Returns
    -------
    str or None
        None if it has no day, or none that exists: what cannot be moved cannot stay.

    Examples
    --------
    >>> shift_date("20240301", -1), shift_date("20240301123000.5+0100", -366), shift_date("2024", 1)
    ('20240229', '20230301123000.5+0100', None)
    >>> shift_date("20240301-20240302", 1)
    """
    match = _DATE.fullmatch(text.strip(" \0"))
    if not match:
        return None
    year, month, day, rest = match.groups()
    try:
        moved = date(int(year), int(month), int(day)) + timedelta(days)
    except (ValueError, OverflowError):
        return None
    return f"{moved:%Y%m%d}".rjust(8, "0") + rest
