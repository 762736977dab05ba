"""Scheduled jobs when the clocks change."""

from datetime import UTC, datetime, timedelta

import pytest
from pacs_jobs.kinds import next_occurrence
from pacs_jobs.schedule import local_zone


@pytest.mark.parametrize("change", ["2026-03-29T01:00:00+00:00", "2026-10-25T01:00:00+00:00"])
@pytest.mark.parametrize("schedule", ["30 2 * * *", "0 4 * * *"])
def test_a_daily_job_is_due_once_a_day(
    change: str, schedule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As each look at the clock, before and after, finds the same next moment."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    zone = local_zone()
    begin = datetime.fromisoformat(change) - timedelta(hours=16)
    looks = [(begin + timedelta(minutes=10 * n)).astimezone(zone) for n in range(36 * 6)]
    moments = {next_occurrence(schedule, look).astimezone(UTC) for look in looks}
    days = [moment.astimezone(zone).date() for moment in sorted(moments)]
    assert len(days) == len(set(days)) == 2


def test_the_zone_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TZ", raising=False)
    now = datetime.now(UTC)
    assert now.astimezone(local_zone()).utcoffset() == now.astimezone().utcoffset()
    monkeypatch.setenv("TZ", "no/where")
    assert now.astimezone(local_zone()).utcoffset() is not None
