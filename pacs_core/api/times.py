"""Times of the day and of the week, such as those at which a rule of a plugin holds."""

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from typing import Final

from attrs import frozen

__all__ = ["Times"]

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@frozen
class Times:
    """Spans of hours, and the days on which they begin; always, if there are neither.

    A span that ends before it begins ends on the next day; one whose ends are equal lasts a day.

    Attributes
    ----------
    hours : tuple of str
        As ``"22:00-06:00"``.
    days : tuple of str
        As ``"sat"``; empty for all.
    """

    hours: tuple[str, ...] = ()
    days: tuple[str, ...] = ()

    def next_open(self, now: datetime) -> datetime:
        """Return when such a time comes: `now`, which is local time, if it is one."""
        if not (self.hours or self.days):
            return now
        spans = sorted(self._spans(now))
        if any(start <= now < end for start, end in spans):
            return now
        return next(start for start, _ in spans if start > now)

    def _spans(self, now: datetime) -> Iterator[tuple[datetime, datetime]]:
        for offset in range(-1, 8):
            day = now.date() + timedelta(days=offset)
            if self.days and _DAYS[day.weekday()] not in self.days:
                continue
            for text in self.hours or ("00:00-00:00",):
                first, last = (time.fromisoformat(each) for each in text.split("-"))
                start = datetime.combine(day, first, now.tzinfo)
                end = datetime.combine(day, last, now.tzinfo)
                yield start, end if last > first else end + timedelta(days=1)
