# ruff: noqa: D102 - the names of the tests are their documentation
"""Changes are kept for consumers: part of the contract suite of indexes."""

import anyio
import pytest
from attrs import evolve

from pacs_core.concurrency import closing
from pacs_core.contracts import (
    Change,
    ChangeKind,
    ChangeLog,
    ChangesLostError,
    Durability,
    Index,
    InstanceRecord,
    Level,
    Origin,
    Principal,
    Query,
)
from pacs_core.testing.index_harness import make_record, path

STUDY = "1.2.3.1"


async def kept(log: ChangeLog, after: int = 0) -> list[Change]:
    """Return all changes that are kept."""
    return list(await log.changes(after, 10_000))


def told(changes: list[Change]) -> list[tuple[str, str]]:
    """Return kinds, and the last parts of the names of instances or studies."""
    return [
        (c.kind.value, c.instance.identity.sop_instance_uid[6:] if c.instance else "")
        for c in changes
    ]


def _from(record: InstanceRecord, origin: Origin | None) -> InstanceRecord:
    return evolve(record, instance=evolve(record.instance, origin=origin))


def _said(origin: Origin | None) -> tuple[str, ...] | None:
    """Return what an index keeps of an origin."""
    if origin is None:
        return None
    return (origin.interface, origin.calling_ae_title, origin.called_ae_title, origin.user)


def _senders(changes: list[Change]) -> list[tuple[str, ...] | None]:
    return [_said(each.instance.origin if each.instance else None) for each in changes]


class IndexChanges:
    """Of indexes that have a :attr:`Index.change_log`; the others do without these tests."""

    @pytest.fixture
    def log(self, index: Index) -> ChangeLog:
        """Return the log of the index."""
        if index.change_log is None:
            pytest.skip("the index keeps no changes")
        return index.change_log

    async def test_nothing_is_kept_while_nobody_follows(self, index: Index, log: ChangeLog) -> None:
        await index.add(make_record("1"))
        await index.replace(make_record("1"))
        await index.remove(path("1"))
        assert await kept(log) == []
        assert await log.cursors() == []

    async def test_each_change_is_kept_in_order(self, index: Index, log: ChangeLog) -> None:
        await index.add(make_record("1"))
        cursor = await log.follow("a")
        assert (cursor.consumer, cursor.walked, cursor.behind) == ("a", True, 0)
        for number, durability in enumerate(Durability, 10):
            await index.add(make_record(str(number)), durability=durability)
        await index.add(make_record("3"))
        other = make_record("3")
        other = evolve(other, instance=evolve(other.instance, key="key/other", size=5, digest=b"d"))
        await index.replace(other)
        await index.replace(make_record("4"))
        await index.remove(path("3"))
        changes = await kept(log, cursor.sequence)
        written = [("added", f"1.1.{number}") for number, _ in enumerate(Durability, 10)]
        assert told(changes) == [
            *written,
            ("added", "1.1.3"),
            ("replaced", "1.1.3"),
            ("added", "1.1.4"),
            ("removed", "1.1.3"),
        ]
        sequences = [change.sequence for change in changes]
        assert sequences == sorted(set(sequences))
        assert changes[-3].instance == changes[-1].instance == other.instance
        assert {change.study_instance_uid for change in changes} == {STUDY}
        times = [change.time for change in changes]
        assert times == sorted(times)

    async def test_what_changes_nothing_is_no_change(self, index: Index, log: ChangeLog) -> None:
        await index.add(make_record("1"))
        await log.follow("a")
        await index.add(make_record("1"))
        await index.remove(path("2"))
        await index.clear()
        assert await kept(log) == []

    async def test_who_sent_an_instance_is_kept_with_it_and_with_its_changes(
        self, index: Index, log: ChangeLog
    ) -> None:
        await log.follow("a")
        sent = [
            Origin("DIMSE", "CT 1", "PACS"),
            Origin("HTTP", called_ae_title="PACS", principal=Principal("site\\jane é")),
            Origin("import", principal=Principal("root")),
            None,
        ]
        for number, origin in enumerate(sent):
            await index.add(_from(make_record(str(number)), origin))
        other = _from(make_record("3"), sent[0])
        await index.replace(evolve(other, instance=evolve(other.instance, key="key/other")))
        await index.remove(path("0"))
        expected = [*map(_said, sent), _said(sent[0]), _said(sent[0])]
        assert _senders(await kept(log)) == expected
        for name, origin in (("1", sent[1]), ("2", sent[2]), ("3", sent[0])):
            located = await index.locate(path(name))
            assert located is not None
            assert _said(located.origin) == _said(origin)
        async with closing(index.instances(Query(Level.IMAGE))) as found:
            listed = [_said(each.origin) async for each in found]
        assert listed == [_said(sent[1]), _said(sent[2]), _said(sent[0])]
        async with index.rebuilding() as building:
            async for _ in building.changes():
                pass
        assert index.change_log is not None
        assert _senders(await kept(index.change_log)) == expected

    async def test_changes_come_in_portions(self, index: Index, log: ChangeLog) -> None:
        cursor = await log.follow("a")
        for number in range(5):
            await index.add(make_record(str(number)))
        first = await log.changes(cursor.sequence, 2)
        second = await log.changes(first[-1].sequence, 2)
        last = await log.changes(second[-1].sequence, 2)
        found = told([*first, *second, *last])
        assert found == [("added", f"1.1.{number}") for number in range(5)]

    async def test_a_cursor_is_kept_and_never_moves_back(
        self, index: Index, log: ChangeLog
    ) -> None:
        await log.follow("a", walked=False)
        await index.add(make_record("1"))
        await index.add(make_record("2"))
        assert not (await log.follow("a")).walked
        first, second = await kept(log)
        await log.advance("a", second.sequence)
        await log.advance("a", first.sequence)
        cursor = await log.follow("a", walked=False)
        assert (cursor.sequence, cursor.walked, cursor.behind) == (second.sequence, True, 0)

    async def test_changes_go_when_every_consumer_is_done(
        self, index: Index, log: ChangeLog
    ) -> None:
        await log.follow("a")
        await log.follow("b")
        for number in range(3):
            await index.add(make_record(str(number)))
        changes = await kept(log)
        await log.advance("a", changes[2].sequence)
        assert await kept(log) == changes
        await log.advance("b", changes[0].sequence)
        assert await kept(log) == changes[1:]
        behind = {cursor.consumer: cursor.behind for cursor in await log.cursors()}
        assert behind == {"a": 0, "b": 2}

    async def test_a_consumer_that_is_forgotten_keeps_nothing(
        self, index: Index, log: ChangeLog
    ) -> None:
        await log.follow("a")
        await index.add(make_record("1"))
        assert await log.unfollow("a")
        assert not await log.unfollow("a")
        assert await kept(log) == []
        await index.add(make_record("2"))
        assert await kept(log) == []

    async def test_sequences_are_not_used_again(self, index: Index, log: ChangeLog) -> None:
        await log.follow("a")
        await index.add(make_record("1"))
        (first,) = await kept(log)
        await log.advance("a", first.sequence)
        await log.unfollow("a")
        cursor = await log.follow("b")
        assert cursor.sequence >= first.sequence
        await index.add(make_record("2"))
        (second,) = await kept(log, cursor.sequence)
        assert second.sequence > first.sequence

    async def test_a_cursor_of_another_index_is_noticed(self, index: Index, log: ChangeLog) -> None:
        with pytest.raises(ChangesLostError):
            await log.changes(1_000_000, 1)
        with pytest.raises(ChangesLostError):
            await log.advance("nobody", 1)
        await index.add(make_record("1"))

    async def test_a_rebuild_keeps_cursors_and_changes(self, index: Index, log: ChangeLog) -> None:
        await index.add(make_record("1"))
        await log.follow("a")
        await log.follow("b", walked=False)
        await index.add(make_record("2"))
        await index.add(make_record("3"))
        changes, cursors = await kept(log), await log.cursors()
        await log.note_complete(STUDY, changes[-1].sequence)
        async with index.rebuilding() as building:
            async for _ in building.changes():
                pass
        assert index.change_log is not None
        again = await kept(index.change_log)
        assert again[:2] == changes
        assert [c.kind for c in again[2:]] == [ChangeKind.STUDY_COMPLETE]
        found = await index.change_log.cursors()
        assert [(c.consumer, c.sequence, c.walked) for c in found] == [
            (c.consumer, c.sequence, c.walked) for c in cursors
        ]
        assert await index.change_log.note_reopened(STUDY, again[-1].sequence + 1)
        await index.add(make_record("9"))
        assert (await kept(index.change_log))[-1].sequence > again[-1].sequence

    async def test_a_study_is_complete_once(self, index: Index, log: ChangeLog) -> None:
        await log.follow("a")
        await index.add(make_record("1"))
        (change,) = await kept(log)
        assert await log.note_complete(STUDY, change.sequence)
        assert not await log.note_complete(STUDY, change.sequence)
        last = (await kept(log))[-1]
        assert (last.kind, last.study_instance_uid, last.instance) == (
            ChangeKind.STUDY_COMPLETE,
            STUDY,
            None,
        )
        assert len(await kept(log)) == 2

    async def test_a_late_arrival_reopens_a_study(self, index: Index, log: ChangeLog) -> None:
        await log.follow("a")
        await index.add(make_record("1"))
        (first,) = await kept(log)
        assert not await log.note_reopened(STUDY, first.sequence)
        await log.note_complete(STUDY, first.sequence)
        assert not await log.note_reopened(STUDY, first.sequence)
        await index.add(make_record("2"))
        late = (await kept(log))[-1]
        assert await log.note_reopened(STUDY, late.sequence)
        assert not await log.note_reopened(STUDY, late.sequence)
        assert await log.note_complete(STUDY, late.sequence)
        assert [kind for kind, _ in told(await kept(log))] == [
            "added", "study-complete", "added", "study-reopened", "study-complete",
        ]  # fmt: skip

    async def test_a_study_without_instances_is_not_complete(
        self, index: Index, log: ChangeLog
    ) -> None:
        await log.follow("a")
        await index.add(make_record("1"))
        await log.note_complete(STUDY, 1)
        await index.remove(path("1"))
        assert not await log.note_complete(STUDY, 2)
        await index.add(make_record("1"))
        assert not await log.note_reopened(STUDY, 3)

    async def test_changes_of_many_at_once(self, index: Index, log: ChangeLog) -> None:
        await log.follow("a")
        read: list[Change] = []
        after = 0

        async def add(study: int) -> None:
            for number in range(20):
                await index.add(make_record(f"{study}.1.{number}"))

        async with anyio.create_task_group() as tasks:
            for study in range(1, 6):
                tasks.start_soon(add, study)
            with anyio.fail_after(60):
                while len(read) < 100:
                    read += await log.changes(after, 7)
                    after = read[-1].sequence if read else 0
                    await log.advance("a", after)
        uids = [c.instance.identity.sop_instance_uid for c in read if c.instance]
        for study in range(1, 6):
            own = [uid for uid in uids if uid.startswith(f"1.2.3.{study}.")]
            assert own == [f"1.2.3.{study}.1.{number}" for number in range(20)]
        assert await kept(log, after) == []
