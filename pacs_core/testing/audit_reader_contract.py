# ruff: noqa: D102 - the names of the tests are their documentation
"""The contract of readers of the audit trail as tests: inherit, and say how one is made.

Example
-------
::

    class TestJournalReader(AuditReaderContract):
        def make_sink(self, directory: Path) -> AuditSink:
            return JournalSink(directory / "journal")

        def make_reader(self, directory: Path) -> AuditReader:
            return JournalReader(directory / "journal")
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, cast

import pytest

from pacs_core.contracts import (
    AuditCode,
    AuditEvent,
    AuditKind,
    AuditObject,
    AuditObjectKind,
    AuditReader,
    AuditSearch,
    AuditSink,
    Component,
    EventAction,
    Origin,
    Outcome,
    Participant,
    ParticipantRole,
    PluginAuditKind,
)
from pacs_core.testing.audit_sink_contract import HOSTILE_DETAILS, ORIGIN, event

STUDY: Final = "1.2.840.99.1"


def study_event(number: int, study: str = STUDY) -> AuditEvent:
    """Return an event that says all that an event can say."""
    return AuditEvent(
        PluginAuditKind("contract.looked"),
        Outcome.WARNING,
        ORIGIN,
        {"count": number, "share": 0.5, "done": True, "none": None, "uids": ["1.2", "1.3"]},
        event(number).time,
        EventAction.READ,
        (Participant("ward", ParticipantRole.SOURCE, True, "192.0.2.7", "Ward", "4711"),),
        (
            AuditObject(AuditObjectKind.STUDY, study, "", {"1.2.3": 4}, ("A1",), {"more": "x"}),
            AuditObject(AuditObjectKind.QUERY, "q", query="<q/>", id_type=AuditCode("1", "2", "")),
        ),
    )


class AuditReaderContract(ABC):
    """What every reader of an audit trail must do.

    The tests are async: they need anyio's pytest plugin and the fixture ``anyio_backend``.
    """

    pytestmark = pytest.mark.anyio

    @abstractmethod
    def make_sink(self, directory: Path) -> AuditSink:
        """Return a sink, not started, whose records are kept in or for `directory`."""

    @abstractmethod
    def make_reader(self, directory: Path) -> AuditReader:
        """Return a reader, not started, of what the sink of `directory` records."""

    @asynccontextmanager
    async def _run(self, directory: Path) -> AsyncIterator[tuple[AuditSink, AuditReader]]:
        sink, reader = self.make_sink(directory), self.make_reader(directory)
        parts: tuple[Component, ...] = (sink, reader)
        started: list[Component] = []
        try:
            for each in parts:
                await each.start()
                started.append(each)
            yield sink, reader
        finally:
            for each in reversed(started):
                await each.stop()

    async def _find(
        self, directory: Path, events: Sequence[AuditEvent], search: AuditSearch
    ) -> list[AuditEvent]:
        async with self._run(directory) as (sink, reader):
            await sink.write(events)
            async with aclosing(cast(Any, reader.search(search))) as found:
                return [each async for each in found]

    async def test_the_latest_is_first(self, tmp_path: Path) -> None:
        events = [event(number, count=number) for number in range(500)]
        found = await self._find(tmp_path, events, AuditSearch())
        assert [each.details["count"] for each in found] == list(range(499, -1, -1))

    async def test_an_event_is_what_it_was(self, tmp_path: Path) -> None:
        (found,) = await self._find(tmp_path, [study_event(1)], AuditSearch())
        assert found == study_event(1)

    async def test_every_kind_and_outcome(self, tmp_path: Path) -> None:
        events = [AuditEvent(k, o, ORIGIN, time=event().time) for k in AuditKind for o in Outcome]
        found = await self._find(tmp_path, events, AuditSearch())
        assert [(e.kind, e.outcome) for e in found[::-1]] == [(e.kind, e.outcome) for e in events]

    async def test_no_more_than_are_wanted(self, tmp_path: Path) -> None:
        events = [event(number, count=number) for number in range(20)]
        found = await self._find(tmp_path, events, AuditSearch(limit=3))
        assert [each.details["count"] for each in found] == [19, 18, 17]

    async def test_what_an_event_is_about_is_the_whole_name(self, tmp_path: Path) -> None:
        events = [
            event(0, study_instance_uid=STUDY),
            event(1, study_instance_uid=f"{STUDY}1"),
            event(2, studies=("1.2", STUDY)),
            event(3, comment=f"not {STUDY}"),
            study_event(4),
            study_event(5, STUDY[:-1]),
            event(6, count=1),
        ]
        found = await self._find(tmp_path, events, AuditSearch(STUDY))
        assert [each.time for each in found] == [event(number).time for number in (4, 2, 0)]

    @pytest.mark.parametrize("name", ["Ünal", 'a"b\\c', "山田", "x\ny", "\udcff"])
    async def test_names_of_any_kind(self, tmp_path: Path, name: str) -> None:
        found = await self._find(tmp_path, [event(0), event(1, name=name)], AuditSearch(name))
        assert [each.details for each in found] == [{"name": name}]

    async def test_kinds_user_and_time_narrow_it_down(self, tmp_path: Path) -> None:
        events = [event(0), event(1), AuditEvent(AuditKind.C_ECHO, Outcome.SUCCESS, Origin("x"))]
        minute = timedelta(minutes=1)
        noon = event().time
        for search, expected in (
            (AuditSearch(kinds=frozenset({"c-echo"})), 1),
            (AuditSearch(kinds=frozenset({"c-echo", events[0].kind.value})), 2),
            (AuditSearch(user="ward"), 2),
            (AuditSearch(user="war"), 0),
            (AuditSearch(since=noon + timedelta(seconds=1)), 2),
            (AuditSearch(until=noon + timedelta(seconds=1)), 1),
            (AuditSearch(since=noon - minute, until=noon), 0),
        ):
            directory = tmp_path / str(hash(search))
            assert len(await self._find(directory, events, search)) == expected, search

    async def test_hostile_details_are_details(self, tmp_path: Path) -> None:
        found = await self._find(tmp_path, [event(0, **HOSTILE_DETAILS)], AuditSearch())
        assert len(found) == 1
        assert found[0].details["forged"] == HOSTILE_DETAILS["forged"]

    async def test_nothing_recorded_is_nothing_found(self, tmp_path: Path) -> None:
        assert await self._find(tmp_path, [], AuditSearch()) == []

    async def test_who_has_enough_may_leave(self, tmp_path: Path) -> None:
        async with self._run(tmp_path) as (sink, reader):
            await sink.write([event(number) for number in range(100)])
            async with aclosing(cast(Any, reader.search(AuditSearch()))) as found:
                await anext(found)
            await sink.write([event(100)])
            async with aclosing(cast(Any, reader.search(AuditSearch()))) as found:
                assert (await anext(found)).time == event(100).time
