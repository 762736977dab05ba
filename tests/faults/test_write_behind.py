"""The promise of write-behind, on a real node: killed at any instant, or by a power failure."""

import os
import random
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import pytest
from pacs_index_sqlite.index import SqliteIndex
from pacs_store_filesystem.store import FilesystemStore

from pacs_core.archive import (
    Durability,
    NodeArchive,
    find_gap,
    journal_neighbours,
    journal_opening,
    verify_index,
    write_behind,
)
from pacs_core.archive.events import EventDispatcher
from pacs_core.archive.journal import LARGEST
from pacs_core.archive.journal_directory import JournalDirectory
from pacs_core.association import AssociationError, Proposal, connect
from pacs_core.contracts import (
    AuditEvent,
    AuditTrail,
    InstancePath,
    Level,
    Origin,
    Peer,
    Query,
    StorageFullError,
)
from pacs_core.dataset import encode_attributes, tag_of
from pacs_core.testing.killable_node import Victim, cradle
from pacs_core.testing.node import Tables, node_process
from pacs_core.testing.waiting import until

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
ROOT = "1.2.826.0.1.3680043.10.1"
ROUNDS = 12
SENDERS = 4
BEHIND = {"archive": {"durability": "write-behind", "flush_interval": 0.05}}
JOURNAL = {"archive": {"journal": True}}
NO_FIFO = shutil.ignore_patterns("ask")
NEVER = {"archive": {"durability": "write-behind", "flush_interval": 3600.0}}


def make(number: int) -> tuple[str, bytes]:
    """Return an instance's UID and dataset; the same number gives the same."""
    uid = f"{ROOT}.9.{number}"
    values = {
        "SOPClassUID": CT,
        "SOPInstanceUID": uid,
        "PatientID": "P1",
        "StudyInstanceUID": f"{ROOT}.1",
        "SeriesInstanceUID": f"{ROOT}.1.{number % 7}",
    }
    header = encode_attributes({tag_of(k): (v,) for k, v in values.items()}, EXPLICIT)
    pixels = random.Random(number).randbytes(2 * (number * 7919 % 40_000))
    return uid, header + b"\xe0\x7f\x10\0OW\0\0" + len(pixels).to_bytes(4, "little") + pixels


async def send(node: Victim, numbers: "count[int]", enough: Callable[[int], bool]) -> None:
    """Send instances until the node dies, or there is enough; `enough` hears of each success."""
    async with connect(node.peer, [Proposal(CT, (EXPLICIT,))]) as association:
        while True:
            number = next(numbers)
            uid, dataset = make(number)
            response = await association.c_store(CT, uid, dataset)
            assert response.status == 0x0000
            if enough(number):
                return


async def send_and_kill(
    node: Victim, numbers: "count[int]", acknowledged: set[int], limit: int
) -> None:
    """Send on several associations, and kill the node upon an acknowledgement."""
    goal = len(acknowledged) + limit

    def enough(number: int) -> bool:
        acknowledged.add(number)
        if len(acknowledged) == goal:
            node.kill()
        return len(acknowledged) >= goal

    async def work() -> None:
        try:
            await send(node, numbers, enough)
        except (AssociationError, OSError):
            assert len(acknowledged) >= goal, "the node failed before it was killed"

    async with anyio.create_task_group() as tasks:
        for _ in range(SENDERS):
            tasks.start_soon(work)


class Trail(AuditTrail):
    """Keeps events."""

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []

    async def record(self, event: AuditEvent) -> None:
        self.events.append(event)


class Opened:
    """A node's archive, opened in this process."""

    def __init__(self, data: Path) -> None:
        self.store = FilesystemStore(data / "objects")
        self.index = SqliteIndex(data / "index.sqlite")
        self.trail = Trail()

    def archive(self, **options: Any) -> NodeArchive:
        events = EventDispatcher()
        return NodeArchive(self.store, self.index, audit=self.trail, events=events, **options)

    async def content(self, number: int) -> bytes | None:
        """Return the dataset of an instance, None if it is not in the archive."""
        instance = await self.index.locate(InstancePath(f"{ROOT}.1", make(number)[0]))
        if instance is None:
            return None
        async with await self.store.open(instance.key) as reader:
            return await reader.read(instance.dataset_offset, instance.size)

    async def rows(self) -> int:
        return len([i async for i in self.index.instances(Query(Level.IMAGE))])

    async def unflushed(self) -> int:
        return len([i async for i in self.index.unflushed()])

    async def faults(self, *but: str) -> list[str]:
        """Return what is wrong but whole objects that were never acknowledged, and other kinds."""
        found = [difference async for difference in verify_index(self.store, self.index)]
        return [str(d) for d in found if d.kind.value not in ("orphan", *but)]


async def ingest(archive: NodeArchive, number: int) -> None:
    uid, data = make(number)

    async def chunks() -> AsyncIterator[bytes]:
        yield data

    await archive.ingest(
        chunks(),
        transfer_syntax_uid=EXPLICIT,
        sop_class_uid=CT,
        sop_instance_uid=uid,
        origin=Origin("test"),
    )


@asynccontextmanager
async def opened(data: Path) -> AsyncIterator[Opened]:
    it = Opened(data)
    try:
        await it.store.start()
        await it.index.start()
        yield it
    finally:
        await it.index.stop()
        await it.store.stop()


async def check(data: Path, acknowledged: set[int]) -> None:
    async with opened(data) as found:
        for number in acknowledged:
            assert await found.content(number) == make(number)[1], number


async def check_all(data: Path, acknowledged: set[int], *but: str) -> None:
    await check(data, acknowledged)
    async with opened(data) as found:
        assert await found.faults(*but) == []
        assert await found.unflushed() == 0


@pytest.mark.parametrize("tables", [BEHIND, JOURNAL], ids=["write-behind", "journal"])
def test_what_was_acknowledged_survives_any_kill(tmp_path: Path, tables: Tables) -> None:
    chance, numbers = random.Random(1), count()
    acknowledged: set[int] = set()
    with cradle(tmp_path, tables) as begin:
        for _ in range(ROUNDS):
            before = set(acknowledged)
            anyio.run(send_and_kill, begin(), numbers, acknowledged, chance.randint(1, 40))
            anyio.run(check, tmp_path, acknowledged - before)
    with node_process(tmp_path, tables) as node:
        assert node.stop() == 0
    assert "lost" not in node.log.read_text()
    anyio.run(check_all, tmp_path, acknowledged)


@pytest.mark.anyio
async def test_a_journal_alone_brings_all_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power failure that takes all that store and index have had since the node started."""
    monkeypatch.setattr(write_behind, "SETTLE_INTERVAL", 3600.0)
    lived, after = tmp_path / "lived", tmp_path / "after"
    numbers = [number for number in range(12) if len(make(number)[1]) <= LARGEST]
    async with opened(lived) as found, anyio.create_task_group() as tasks:
        archive = found.archive(journal_after=0)
        await archive.start(tasks, lived / "lock")
        shutil.copytree(lived, after, ignore=NO_FIFO)
        synced: list[int] = []
        monkeypatch.setattr(os, "fsync", synced.append)
        async with anyio.create_task_group() as senders:
            for number in numbers:
                senders.start_soon(ingest, archive, number)
        assert synced == []
        shutil.rmtree(after / "journal-0")
        shutil.copytree(lived / "journal-0", after / "journal-0", ignore=NO_FIFO)
        monkeypatch.undo()
        await archive.stop()
        tasks.cancel_scope.cancel()
    async with opened(after) as found, anyio.create_task_group() as tasks:
        assert await found.rows() == 0
        archive = found.archive()
        await archive.start(tasks, after / "lock")
        assert await found.rows() == len(numbers) > 8
    await check_all(after, set(numbers))


@pytest.mark.anyio
@pytest.mark.parametrize("before", [0, 1])
async def test_a_replay_does_not_make_a_lost_index_look_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    """Nor does it look lost because nothing has a row yet but what the journal has."""
    monkeypatch.setattr(write_behind, "SETTLE_INTERVAL", 3600.0)
    lived, after = tmp_path / "lived", tmp_path / "after"
    async with opened(lived) as found, anyio.create_task_group() as tasks:
        archive = found.archive(journal_after=before)
        await archive.start(tasks, lived / "lock")
        for number in count():
            await ingest(archive, number)
            if any(queue.name == "journal" and queue.waiting for queue in archive.queues):
                break
        shutil.copytree(lived, after, ignore=shutil.ignore_patterns("ask", "index.sqlite*"))
        await archive.stop()
        tasks.cancel_scope.cancel()
    async with opened(after) as found, anyio.create_task_group() as tasks:
        await found.archive().start(tasks, after / "lock")
        assert await found.rows() == 1
        assert bool(await find_gap(found.store, found.index)) == bool(before)


@pytest.mark.anyio
async def test_a_journal_that_cannot_be_synced_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits is acknowledged once store and index are on disk; the segments count no more."""

    def fail(fd: int) -> None:
        raise OSError(5, "Input/output error")

    async with opened(tmp_path) as found, anyio.create_task_group() as tasks:
        archive = found.archive(journal_after=0)
        await archive.start(tasks, tmp_path / "lock")
        await ingest(archive, 1)
        with monkeypatch.context() as broken:
            broken.setattr(os, "fdatasync", fail)
            async with anyio.create_task_group() as senders:
                for number in (2, 3):
                    senders.start_soon(ingest, archive, number)
        assert [event.kind.value for event in found.trail.events] == ["flush"]
        await ingest(archive, 4)
        for number in (1, 2):
            path = InstancePath(f"{ROOT}.1", make(number)[0])
            await archive.delete(path, Origin("test"))
        assert not list((tmp_path / "journal-0").glob("segment-*"))
        await archive.stop()
        tasks.cancel_scope.cancel()
    await check_all(tmp_path, {3, 4})
    async with opened(tmp_path) as found:
        assert await found.rows() == 2


@pytest.mark.anyio
async def test_a_journal_leaves_room_for_what_it_is_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """On a small or full disk there is none, and all goes on as without one."""
    usage = shutil.disk_usage(tmp_path)._replace(free=60 << 20)
    monkeypatch.setattr(journal_opening, "disk_usage", lambda _: usage)
    async with opened(tmp_path) as found, anyio.create_task_group() as tasks:
        archive = found.archive(journal_after=0)
        await archive.start(tasks, tmp_path / "lock")
        await ingest(archive, 1)
        await archive.stop()
        tasks.cancel_scope.cancel()
    assert "there is no journal" in caplog.text
    assert "takes 16 MiB" in caplog.text
    assert JournalDirectory(tmp_path / "journal-0").segments == []
    await check_all(tmp_path, {1})


@pytest.mark.anyio
@pytest.mark.parametrize("after", [None, 0], ids=["command", "worker"])
async def test_others_ask_the_one_who_writes_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int | None
) -> None:
    """Another process deletes what a node has just acknowledged: no replay brings it back."""
    monkeypatch.setattr(write_behind, "SETTLE_INTERVAL", 3600.0)
    monkeypatch.setattr(journal_neighbours, "_ASK_AGAIN", 3600.0)
    path = InstancePath(f"{ROOT}.1", make(1)[0])
    async with opened(tmp_path) as node, opened(tmp_path) as command:
        async with anyio.create_task_group() as tasks:
            ours = node.archive(journal_after=0)
            theirs = command.archive(journal_after=after)
            await ours.start(tasks, tmp_path / "lock")
            # One has died before it had a record.
            dead = node.archive(durability=Durability.WRITE_BEHIND, flush_interval=3600.0)
            await ingest(dead, 5)
            await theirs.start(tasks, tmp_path / "lock")
            before = int(after is not None)  # a worker has asked when it started
            assert await node.unflushed() == 1 - before
            await ingest(ours, 1)
            await theirs.delete(path, Origin("test"))
            assert await node.index.locate(path) is None
            journal = JournalDirectory(tmp_path / "journal-0")
            assert not journal.holds({path.sop_instance_uid})
            assert journal.segments
            assert journal.flushes_done() == before + 1
            # What is on disk already is not asked for.
            await ingest(ours, 2)
            await ours.delete(InstancePath(f"{ROOT}.1", make(2)[0]), Origin("test"))
            await ingest(theirs, 4)
            await theirs.delete(InstancePath(f"{ROOT}.1", make(4)[0]), Origin("test"))
            assert journal.flushes_done() == before + 1
            # The node dies; what it had in the journal is replayed by whoever is there.
            await ingest(ours, 3)
            ours._behind._answering.cancel()  # type: ignore[union-attr]
            ours._journaling._journal.directory.disown()  # type: ignore[union-attr]
            await theirs.delete(InstancePath(f"{ROOT}.1", make(3)[0]), Origin("test"))
            assert not journal.segments
            tasks.cancel_scope.cancel()
        assert await node.rows() == 1


def store_then_kill(data: Path, instances: int) -> set[int]:
    acknowledged: set[int] = set()
    with cradle(data, NEVER) as begin:
        anyio.run(send_and_kill, begin(), count(), acknowledged, instances)
    return acknowledged


def objects(data: Path) -> list[Path]:
    return sorted((data / "objects").rglob("*.dcm"))


def test_a_power_failure_is_reported_and_leaves_nothing_half(tmp_path: Path) -> None:
    """Of what was not flushed, objects are cut short, emptied, or not there any more."""
    acknowledged = store_then_kill(tmp_path, 40)
    harm: list[Callable[[Path], object]] = [
        lambda path: os.truncate(path, path.stat().st_size // 2),
        lambda path: os.truncate(path, 0),
        lambda path: path.unlink(),
    ]
    harmed = set()
    for number, path in enumerate(objects(tmp_path)[::3]):
        harm[number % 3](path)
        harmed.add(path.stem)
    with node_process(tmp_path, BEHIND) as node:
        assert node.stop() == 0

    async def look() -> None:
        async with opened(tmp_path) as found:
            for number in acknowledged:
                uid, dataset = make(number)
                expected = None if uid in harmed else dataset
                assert await found.content(number) == expected
            assert await found.faults() == []
            assert await found.unflushed() == 0

    anyio.run(look)
    log = node.log.read_text()
    lines = [line for line in log.splitlines() if "is lost" in line]
    known = {make(number)[0] for number in acknowledged}
    assert {uid for uid in harmed & known if any(uid in line for line in lines)} == harmed & known
    audit = (tmp_path / "audit" / "audit.jsonl").read_text()
    assert audit.count('"instance-lost"') == len(lines) >= len(harmed & known) > 3


@pytest.mark.parametrize("seed", range(6))
def test_no_row_without_its_object_wherever_the_log_was_cut(tmp_path: Path, seed: int) -> None:
    """The write-ahead log reached the disk in part, torn or with holes, the objects not at all."""
    chance = random.Random(seed)
    store_then_kill(tmp_path, 30)
    for path in objects(tmp_path):
        path.unlink()
    log = tmp_path / "index.sqlite-wal"
    size = log.stat().st_size
    with log.open("r+b") as file:
        if seed % 2:
            file.truncate(chance.randrange(size))
        else:
            file.seek(chance.randrange(size))
            file.write(bytes(4096))

    async def recover() -> None:
        async with opened(tmp_path) as found, anyio.create_task_group() as tasks:
            archive = found.archive()
            rows = await found.rows()
            assert await found.unflushed() == rows, "a row without a note"
            await archive.start(tasks)
            assert await found.rows() == 0
            assert len(found.trail.events) == rows

    anyio.run(recover)


@pytest.mark.anyio
async def test_nothing_is_fsynced_before_the_acknowledgement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    fsync = os.fsync

    def noted(fd: int) -> None:
        synced.append(fd)
        fsync(fd)

    async with opened(tmp_path) as found:
        monkeypatch.setattr(os, "fsync", noted)
        archive = found.archive(durability=Durability.WRITE_BEHIND, flush_interval=3600.0)
        for number in range(5):
            await ingest(archive, number)
        assert synced == []
        await archive.stop()
        assert synced
        assert await found.unflushed() == 0


@pytest.mark.anyio
async def test_a_full_disk_makes_senders_wait_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Delayed allocation: the system says only now that there is no room."""

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    async with opened(tmp_path) as found, anyio.create_task_group() as tasks:
        archive = found.archive(durability=Durability.WRITE_BEHIND, flush_interval=0.001)
        await archive.start(tasks)
        with monkeypatch.context() as broken:
            broken.setattr(os, "fsync", full)
            await ingest(archive, 1)
            with anyio.fail_after(60):
                while not found.trail.events:
                    await anyio.lowlevel.checkpoint()
            with pytest.raises(Exception, match="no room") as caught:
                await ingest(archive, 2)
            assert isinstance(caught.value.__cause__, StorageFullError)
        with anyio.fail_after(60):
            while await found.unflushed():
                await anyio.lowlevel.checkpoint()
        await archive.stop()
        assert await found.content(1) == make(1)[1]
        assert await found.content(2) is None
        kinds = [event.outcome.value for event in found.trail.events]
        assert kinds == ["failure", "success"]


async def send_whatever_dies(
    peer: Peer, chance: random.Random, acknowledged: set[int], goal: int, kill: Callable[[], None]
) -> None:
    """Send, and send again, on several associations; a worker is killed now and then."""
    numbers, sent = count(), count(1)

    async def work() -> None:
        number = next(numbers)
        while len(acknowledged) < goal:
            with suppress(AssociationError, OSError):
                async with connect(peer, [Proposal(CT, (EXPLICIT,))]) as association:
                    while len(acknowledged) < goal:
                        uid, dataset = make(number)
                        response = await association.c_store(CT, uid, dataset)
                        assert response.status == 0x0000
                        acknowledged.add(number)
                        again = chance.random() < 0.2
                        number = chance.choice(list(acknowledged)) if again else next(numbers)
                        if next(sent) % 40 == 0:
                            kill()

    async with anyio.create_task_group() as tasks:
        for _ in range(SENDERS):
            tasks.start_soon(work)


def test_workers_that_are_killed_lose_nothing(tmp_path: Path) -> None:
    """Each has a journal of its own; what one acknowledged is sent again to the other."""
    tables: Tables = {"node": {"workers": 2}, **JOURNAL}
    chance = random.Random(2)
    acknowledged: set[int] = set()
    with node_process(tmp_path, tables) as node:
        children = Path(f"/proc/{node.process.pid}/task/{node.process.pid}/children")

        def kill_one() -> None:
            workers = [int(pid) for pid in children.read_text().split()]
            if len(workers) == 2:
                os.kill(chance.choice(workers), signal.SIGKILL)

        until(lambda: len(list(tmp_path.glob("journal-*/segment-*"))) == 4)
        anyio.run(send_whatever_dies, node.peer, chance, acknowledged, 120, kill_one)
        assert "was killed by SIGKILL" in node.log.read_text()
        workers = [int(pid) for pid in children.read_text().split()]
        node.kill()
        for pid in workers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    with node_process(tmp_path, tables) as node:
        assert node.stop() == 0
    assert "lost" not in node.log.read_text()
    # Where one died amid storing, the object that another stored instead lies beside its own.
    anyio.run(check_all, tmp_path, acknowledged, "set-aside")
