# ruff: noqa: D102 - the names of the tests are their documentation
"""The contract of audit sinks as tests: inherit, and say how a sink is made and read.

Example
-------
::

    class TestJournalSink(AuditSinkContract):
        def make_sink(self, directory: Path) -> AuditSink:
            return JournalSink(directory / "journal")

        def read_back(self, directory: Path) -> list[AuditEvent]:
            return [parse(entry) for entry in read_journal(directory / "journal")]
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Final

import anyio
import pytest

from pacs_core.contracts import (
    AuditEvent,
    AuditKind,
    AuditSink,
    AuditValue,
    Origin,
    Outcome,
    Principal,
)

ORIGIN: Final = Origin(
    interface="DIMSE",
    calling_ae_title="MODALITY",
    called_ae_title="PACS",
    host="192.0.2.7",
    port=50123,
    principal=Principal("ward"),
    association="a1",
)

HOSTILE_DETAILS: Final[dict[str, AuditValue]] = {
    "newline": "first\nsecond\r\nthird",
    "forged": '\n{"event":"delete","outcome":"success"}\n',
    "controls": "".join(map(chr, range(32))),
    "separators": "\u0085\u2028\u2029",
    "quotes": "\"'\\</script>",
    "surrogate": "\udcff\ud800",
    "long": "x" * 100_000,
    "empty": "",
    "nothing": None,
    "infinite": float("inf"),
    "not a number": float("nan"),
    "huge": 10**40,
    "many": ("1.2.3", "1.2.4\n"),
    "name\nwith\nlines": True,
}
"""Details that come from hostile peers, and must not look like anything but details."""


def event(number: int = 0, **details: AuditValue) -> AuditEvent:
    """Return an event; its time tells its number."""
    kinds = tuple(AuditKind)
    time = datetime(2024, 2, 29, 12, tzinfo=UTC) + timedelta(seconds=number)
    return AuditEvent(kinds[number % len(kinds)], Outcome.SUCCESS, ORIGIN, details, time)


def gist(events: Sequence[AuditEvent]) -> list[tuple[object, ...]]:
    """Return what every sink must record of events."""
    return [
        (e.kind, e.outcome, e.time.astimezone(UTC), e.origin.calling_ae_title, e.origin.host)
        for e in events
    ]


class AuditSinkContract(ABC):
    """What every audit sink must do.

    The tests are async: they need anyio's pytest plugin and the fixture ``anyio_backend``.
    """

    pytestmark = pytest.mark.anyio

    @abstractmethod
    def make_sink(self, directory: Path) -> AuditSink:
        """Return a sink, not started, whose records are kept in or for `directory`."""

    @abstractmethod
    def read_back(self, directory: Path) -> Sequence[AuditEvent]:
        """Return what was recorded for `directory`, in order, read from where it went.

        Kind, outcome, time, calling AE title and host are compared; leave out what else you like.
        """

    @asynccontextmanager
    async def run_sink(self, directory: Path) -> AsyncIterator[AuditSink]:
        """Run a sink for the time of a test, or a part of it."""
        sink = self.make_sink(directory)
        try:
            await sink.start()
            yield sink
        finally:
            await sink.stop()

    async def test_every_kind_and_outcome(self, tmp_path: Path) -> None:
        events = [AuditEvent(k, o, ORIGIN, time=event().time) for k in AuditKind for o in Outcome]
        async with self.run_sink(tmp_path) as sink:
            await sink.write(events)
        assert gist(self.read_back(tmp_path)) == gist(events)

    async def test_events_are_recorded_when_write_returns(self, tmp_path: Path) -> None:
        async with self.run_sink(tmp_path) as sink:
            await sink.write([event(1, patients=3)])
            assert gist(self.read_back(tmp_path)) == gist([event(1)])

    async def test_batches_stay_in_order(self, tmp_path: Path) -> None:
        events = [event(number) for number in range(300)]
        async with self.run_sink(tmp_path) as sink:
            for start in range(0, len(events), 7):
                await sink.write(events[start : start + 7])
        assert gist(self.read_back(tmp_path)) == gist(events)

    async def test_a_large_batch(self, tmp_path: Path) -> None:
        events = [event(number, study=f"1.2.{number}") for number in range(5_000)]
        async with self.run_sink(tmp_path) as sink:
            await sink.write(events)
        assert gist(self.read_back(tmp_path)) == gist(events)

    async def test_no_events(self, tmp_path: Path) -> None:
        async with self.run_sink(tmp_path) as sink:
            await sink.write([])
            await sink.write([event()])
        assert gist(self.read_back(tmp_path)) == gist([event()])

    async def test_records_outlive_the_sink(self, tmp_path: Path) -> None:
        for number in range(3):
            async with self.run_sink(tmp_path) as sink:
                await sink.write([event(number)])
        assert gist(self.read_back(tmp_path)) == gist([event(number) for number in range(3)])

    @pytest.mark.parametrize("name", HOSTILE_DETAILS, ids=lambda name: name.split("\n")[0])
    async def test_hostile_details_stay_details(self, tmp_path: Path, name: str) -> None:
        events = [event(1), event(2, **{name: HOSTILE_DETAILS[name]}), event(3)]
        async with self.run_sink(tmp_path) as sink:
            await sink.write(events)
        assert gist(self.read_back(tmp_path)) == gist(events)

    async def test_hostile_origins_stay_origins(self, tmp_path: Path) -> None:
        origin = Origin(
            "DIMSE",
            called_ae_title='A\n{"x',
            host="192.0.2.7",
            principal=Principal("a\r\nb\x00\udcff"),
        )
        events = [AuditEvent(AuditKind.C_ECHO, Outcome.FAILURE, origin, {}, event().time), event()]
        async with self.run_sink(tmp_path) as sink:
            await sink.write(events)
        assert gist(self.read_back(tmp_path)) == gist(events)

    async def test_times_of_other_zones_are_the_same_instants(self, tmp_path: Path) -> None:
        zone = timezone(timedelta(hours=5, minutes=45))
        local = AuditEvent(
            AuditKind.C_FIND, Outcome.WARNING, ORIGIN, {}, event().time.astimezone(zone)
        )
        async with self.run_sink(tmp_path) as sink:
            await sink.write([local])
        assert gist(self.read_back(tmp_path)) == gist([local])

    async def test_a_cancelled_write_leaves_whole_events(self, tmp_path: Path) -> None:
        first = [event(number) for number in range(500)]
        async with self.run_sink(tmp_path) as sink:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(sink.write, first)
                await anyio.lowlevel.checkpoint()
                tasks.cancel_scope.cancel()
            await sink.write([event(1_000)])
        recorded = gist(self.read_back(tmp_path))
        assert recorded[-1] == gist([event(1_000)])[0]
        assert recorded[:-1] == gist(first)[: len(recorded) - 1]

    async def test_stopping_what_was_not_started(self, tmp_path: Path) -> None:
        await self.make_sink(tmp_path).stop()
