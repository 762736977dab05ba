"""Power failures at any moment while a journal is written: all that was acknowledged comes back.

Store, index and segments each keep two views, what is seen and what is on disk. A power failure
leaves what is on disk, and by chance some of the rest: objects whole, torn or absent, a longer
part of the index's log, single blocks of a segment.
"""

import os
import random
import re
from pathlib import Path

import anyio
import pytest
from pacs_memory_archive import MemoryIndex, MemoryStore

from pacs_core.archive import (
    DuplicatePolicy,
    Durability,
    ingest as ingest_module,
    journal_files,
    write_behind,
)
from pacs_core.archive.journal_files import BLOCK

pytestmark = pytest.mark.anyio

SEGMENT = 16 * BLOCK
LARGEST = 9000
FAILURES = 25
UIDS = [f"1.2.{task}.{n}" for task in range(6) for n in range(4)]


class LossyStore(MemoryStore):
    """A store that knows what of it is on disk."""

    def __init__(self):
        super().__init__()
        self.on_disk = {}

    def writer(self, identity, *, durable=True):
        writer = super().writer(identity)
        commit = writer.commit

        async def committed(*args, **options):
            stored = await commit(*args, **options)
            if durable:
                self.on_disk[stored.key] = self._objects[stored.key]
            return stored

        writer.commit = committed
        return writer

    async def flush(self, keys):
        for _ in range(60):
            await anyio.lowlevel.checkpoint()
        self.on_disk.update({key: self._objects[key] for key in keys if key in self._objects})

    async def delete(self, key):
        await super().delete(key)
        self.on_disk.pop(key, None)

    def after_failure(self, chance):
        left = dict(self.on_disk)
        for key in self._objects.keys() - left.keys():
            whole = self._objects[key]
            if keep := chance.choice([None, len(whole), 0, len(whole) // 2]):
                left[key] = whole[:keep] + bytes(len(whole) - keep)
        return left


class LossyIndex(MemoryIndex):
    """An index that is the first part of a log, up to at least what was synced."""

    def __init__(self):
        super().__init__()
        self.log = []
        self.synced = 0

    def note(self, change, *args, durability=Durability.COMMIT, **options):
        self.log.append((change, args, {**options, "durability": durability}))
        if durability is Durability.COMMIT:
            self.synced = len(self.log)

    async def add(self, record, *, durability=Durability.COMMIT):
        result = await super().add(record, durability=durability)
        self.note("add", record, durability=durability)
        return result

    async def replace(self, record):
        result = await super().replace(record)
        self.note("replace", record)
        return result

    async def remove(self, path):
        result = await super().remove(path)
        self.note("remove", path)
        return result

    async def settle(self, paths):
        await super().settle(paths)
        self.note("settle", paths)

    def after_failure(self, chance):
        return self.log[: chance.randint(self.synced, len(self.log))]


async def play(log):
    index = MemoryIndex()
    for change, args, options in log:
        if change != "add":
            options = {}
        await getattr(index, change)(*args, **options)
    return index


@pytest.fixture
def synced(monkeypatch):
    """Make segments small, and note what of them is on disk."""
    found = {}
    fdatasync = os.fdatasync

    def note(fd):
        path = os.readlink(f"/proc/self/fd/{fd}")
        found[Path(path).parent.name, Path(path).name] = os.pread(fd, SEGMENT, 0)
        fdatasync(fd)

    monkeypatch.setattr(os, "fdatasync", note)
    monkeypatch.setattr(journal_files, "SEGMENT_SIZE", SEGMENT)
    monkeypatch.setattr(write_behind, "FULL", SEGMENT // 2)
    monkeypatch.setattr(write_behind, "SETTLE_INTERVAL", 0.002)
    monkeypatch.setattr(ingest_module, "LARGEST", LARGEST)
    return found


def segments_after_failure(directory, synced, chance):
    left = {}
    for path in directory.glob("journal-*/segment-*"):
        name = path.parent.name, path.name
        now, kept = path.read_bytes(), synced.get(name, bytes(SEGMENT))
        blocks = range(0, SEGMENT, BLOCK)
        left[name] = b"".join(
            [chance.choice([now, kept])[start : start + BLOCK] for start in blocks]
        )
    return left


class Users:
    """Send, send again, replace and delete, and keep account of what each instance may be."""

    def __init__(self, bench, archives, dataset, origin, chance):
        self.bench, self.archives, self.dataset = bench, archives, dataset
        self.origin, self.chance = origin, chance
        self.may_be = {uid: {None} for uid in UIDS}
        self.acts = 0

    async def work(self, uids):
        while True:
            uid = self.chance.choice(uids)
            (held,) = self.may_be[uid]
            self.acts += 1
            if held is not None and self.chance.random() < 0.3:
                await self.delete(uid)
            else:
                resend = held is not None and self.chance.random() < 0.3
                await self.send(uid, held if resend else self.make(uid))

    def make(self, uid):
        pixels = self.chance.randbytes(2 * self.chance.choice([10, 1000, 3000, 8000]))
        return self.dataset(uid, pixels)

    async def send(self, uid, data):
        self.may_be[uid] = self.may_be[uid] | {data}
        await self.bench.send(self.chance.choice(self.archives), data, uid, size=4096)
        self.may_be[uid] = {data}

    async def delete(self, uid):
        self.may_be[uid] = self.may_be[uid] | {None}
        (path,) = [
            row.identity.path
            for row in (await self.bench.rows()).values()
            if row.identity.sop_instance_uid == uid
        ]
        await self.chance.choice(self.archives).delete(path, self.origin)
        self.may_be[uid] = {None}


@pytest.mark.parametrize(("seed", "processes", "after"), [(0, 1, 0), (1, 2, 0), (2, 2, 15)])
async def test_a_power_failure_takes_nothing_that_was_acknowledged(
    make_bench, dataset, origin, synced, tmp_path, caplog, seed, processes, after
):
    """Whichever process an instance is sent to, sent to again, or deleted by."""
    chance = random.Random(seed)
    store, index = LossyStore(), LossyIndex()
    bench = make_bench(store=store, index=index)
    failures = []
    async with anyio.create_task_group() as tasks:
        archives = []
        for _ in range(processes):
            archives.append(bench.archive(journal_after=after, policy=DuplicatePolicy.REPLACE))
            await archives[-1].start(tasks, tmp_path / "lock")
        users = Users(bench, archives, dataset, origin, chance)
        async with anyio.create_task_group() as working:
            for n in range(6):
                working.start_soon(users.work, UIDS[4 * n : 4 * n + 4])
            while len(failures) < FAILURES:
                goal = users.acts + chance.randint(1, 12)
                while users.acts < goal:
                    await anyio.lowlevel.checkpoint()
                for _ in range(chance.randint(0, 20)):
                    await anyio.lowlevel.checkpoint()
                failures.append(
                    (
                        dict(users.may_be),
                        store.after_failure(chance),
                        index.after_failure(chance),
                        segments_after_failure(tmp_path, synced, chance),
                    )
                )
            working.cancel_scope.cancel()
        tasks.cancel_scope.cancel()
    for number, (may_be, objects, log, segments) in enumerate(failures):
        home = tmp_path / str(number)
        for (journal, name), content in segments.items():
            (home / journal).mkdir(parents=True, exist_ok=True)
            (home / journal / name).write_bytes(content)
        after = make_bench(store=MemoryStore(objects=objects), index=await play(log))
        async with anyio.create_task_group() as tasks:
            archive = after.archive()
            await archive.start(tasks, home / "lock")
            await archive.stop()
        rows = await after.rows()
        served = dict.fromkeys(UIDS)
        for row in rows.values():
            uid = row.identity.sop_instance_uid
            assert served[uid] is None, "an instance is there twice"
            served[uid] = objects[row.key][row.dataset_offset :]
        for uid, data in served.items():
            assert data in may_be[uid], (number, uid, data and len(data), len(may_be[uid]))
        assert [i async for i in after.index.unflushed()] == []
        lost = {event.details.get("sop_instance_uid") for event in after.trail.events}
        assert not {uid for uid in lost if uid and None not in may_be[uid]}
    said = re.findall(r"(\d+) acknowledged instances were restored", caplog.text)
    assert sum(map(int, said)) > 10
