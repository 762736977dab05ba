"""Moves that are cut short between any two steps, by an exception and by death."""

import json
import os
import signal
import sys
from pathlib import Path
from subprocess import run

import anyio
import pytest
from pacs_store_filesystem.store import FilesystemStore
from pacs_store_tiered.store import TieredStore
from xxhash import xxh3_128

from pacs_core.contracts import (
    DamagedObjectError,
    ObjectNotFoundError,
    ObjectReader,
    StoredInstance,
    WrappingStore,
    WrappingWriter,
)
from pacs_core.testing.memory_store import MemoryStore
from pacs_core.testing.object_store_harness import get, identity, put

DATA = bytes(range(256)) * 3_000
KEY = "1.2.826.0.1.1/1.2.826.0.1.1.1/1.2.826.0.1.1.1.1.dcm"
MOVES = ("move", "fetch", "delete-after-fetch")


class Trap:
    """Ends the process, or raises, before its step with a number, counted over all tiers."""

    def __init__(self, at: int, *, deadly: bool = False) -> None:
        self.at, self.deadly, self.steps = at, deadly, []

    def step(self, name: str) -> None:
        self.steps.append(name)
        if len(self.steps) == self.at:
            if self.deadly:
                os.kill(os.getpid(), signal.SIGKILL)
            raise ConnectionError(f"cut short before {name}")


class TrappedWriter(WrappingWriter):
    def __init__(self, trap, wrapped):
        super().__init__(wrapped)
        self.trap = trap

    async def write(self, chunks):
        self.trap.step("write")
        await super().write(chunks)

    async def commit(self, variant="", *, beginning=b""):
        self.trap.step("commit")
        stored = await super().commit(variant, beginning=beginning)
        self.trap.step("committed")
        return stored


class Trapped(WrappingStore):
    """A store each of whose steps may be the last."""

    def __init__(self, trap, wrapped):
        super().__init__(wrapped)
        self.trap = trap

    def writer_at(self, key, *, durable=True):
        assert durable
        return TrappedWriter(self.trap, super().writer_at(key, durable=durable))

    async def open(self, key):
        self.trap.step("open")
        return await super().open(key)

    async def flush(self, keys):
        self.trap.step("flush")
        await super().flush(keys)

    async def delete(self, key):
        self.trap.step("delete")
        await super().delete(key)
        self.trap.step("deleted")


async def operate(directory: Path, operation: str, trap: Trap) -> None:
    """Do one operation on two directories, in which the object lies in the hot one at first."""
    hot, cold = FilesystemStore(directory / "hot"), FilesystemStore(directory / "cold")
    await hot.start()
    await cold.start()
    try:
        store = TieredStore(
            {"hot": Trapped(trap, hot), "cold": Trapped(trap, cold)}, directory / "locks"
        )
        await store.start()
        if operation == "move":
            await store.move(KEY, "cold")
        elif operation == "fetch":
            await store.fetch(KEY)
        else:
            await store.delete(KEY)
    finally:
        await hot.stop()
        await cold.stop()


def copies(directory: Path) -> list[str]:
    """Return the tiers that have the object; a file under its name is always whole."""
    found = [tier for tier in ("hot", "cold") if (directory / tier / KEY).exists()]
    assert all((directory / tier / KEY).read_bytes() == DATA for tier in found)
    return found


def prepare(directory: Path, operation: str) -> None:
    for tier in {"move": ["hot"], "fetch": ["cold"]}.get(operation, ["hot", "cold"]):
        (directory / tier / KEY).parent.mkdir(parents=True)
        (directory / tier / KEY).write_bytes(DATA)


DONE = {"move": ["cold"], "fetch": ["hot", "cold"], "delete-after-fetch": []}


@pytest.mark.parametrize("operation", MOVES)
def test_there_is_a_whole_copy_after_each_step_and_the_next_run_ends_the_move(
    tmp_path: Path, operation: str
) -> None:
    at, reached = 0, False
    while not reached:
        at += 1
        directory = tmp_path / str(at)
        prepare(directory, operation)
        trap = Trap(at)
        try:
            anyio.run(operate, directory, operation, trap)
            reached = True
        except ConnectionError:
            # Of the deletion of the whole object the lower copy goes last: it can be repeated.
            if operation != "delete-after-fetch" or trap.steps[-1] == "delete":
                assert copies(directory)
            if copies(directory):
                anyio.run(operate, directory, operation, Trap(0))
        assert copies(directory) == DONE[operation]
    assert at > 5 or operation == "delete-after-fetch"
    if operation == "move":
        names = list(dict.fromkeys(trap.steps))
        assert names == ["open", "write", "commit", "committed", "delete", "deleted"]
        assert trap.steps.index("delete") > len(trap.steps) - 1 - trap.steps[::-1].index("open")


CHILD = """
import json, os, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
import anyio
import anyio._backends._asyncio  # once, not in each child
from test_moving import Trap, copies, operate, prepare

base = Path({base!r})
told = []
for operation in ("move", "fetch"):
    for at in range(1, 40):
        directory = base / f"{{operation}}-{{at}}"
        prepare(directory, operation)
        child = os.fork()
        if not child:
            anyio.run(operate, directory, operation, Trap(at, deadly=True))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        told.append((operation, os.waitstatus_to_exitcode(status), copies(directory)))
        child = os.fork()
        if not child:
            anyio.run(operate, directory, operation, Trap(0))
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        told.append((operation, 0, copies(directory)))
        if told[-2][1] == 0:
            break
print(json.dumps(told))
"""


def test_a_process_that_is_killed_between_any_two_steps_loses_nothing(tmp_path: Path) -> None:
    program = CHILD.format(tests=str(Path(__file__).parent), base=str(tmp_path))
    done = run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    killed = [found for _, code, found in told if code == -signal.SIGKILL]
    assert len(killed) > 15
    assert all(killed)
    assert {code for _, code, _ in told} == {0, -signal.SIGKILL}
    assert all(found == DONE[operation] for operation, code, found in told if not code)


def instance(key: str, data: bytes, offset: int) -> StoredInstance:
    digest = xxh3_128(data[offset:]).digest()
    return StoredInstance(identity(), "1.2.840.10008.1.2.1", key, len(data), offset, digest)


@pytest.mark.anyio
async def test_what_is_damaged_or_differs_stays(tmp_path: Path) -> None:
    hot, cold = MemoryStore(), MemoryStore()
    store = TieredStore({"hot": hot, "cold": cold}, tmp_path)
    await store.start()
    stored = await put(store, DATA, identity())
    with pytest.raises(DamagedObjectError, match=f"it has {len(DATA)} of {len(DATA) + 1} bytes"):
        await store.move(stored.key, "cold", expected=instance(stored.key, DATA + b"!", 400))
    other = instance(stored.key, DATA[:-1] + b"?", 400)
    with pytest.raises(DamagedObjectError, match="not those stored"):
        await store.move(stored.key, "cold", expected=other)
    assert await cold.availability([stored.key]) == await cold.availability(["no"])
    cold.put(stored.key, b"somebody else's")
    with pytest.raises(DamagedObjectError, match="has other bytes"):
        await store.move(stored.key, "cold")
    assert (await get(hot, stored.key), await get(cold, stored.key)) == (DATA, b"somebody else's")
    await cold.delete(stored.key)
    assert await store.move(stored.key, "cold", expected=instance(stored.key, DATA, 400))
    assert await get(store, stored.key) == DATA


class Lossy(MemoryStore):
    """A store that keeps something else than it was given."""

    async def open(self, key):
        reader = await super().open(key)
        reader._data = reader._data[:-1] + b"\0"
        return reader


@pytest.mark.anyio
async def test_a_copy_that_reads_back_otherwise_is_taken_back(tmp_path: Path) -> None:
    hot, cold = MemoryStore(), Lossy()
    store = TieredStore({"hot": hot, "cold": cold}, tmp_path)
    await store.start()
    stored = await put(store, DATA, identity())
    with pytest.raises(DamagedObjectError, match="reads back otherwise"):
        await store.move(stored.key, "cold")
    assert await get(store, stored.key) == DATA
    assert [each async for each in cold.objects()] == []


class ByName(ObjectReader):
    """A reader that, like one of a bucket, asks for each range by name."""

    def __init__(self, store, key, size):
        self.store, self.key, self.size = store, key, size

    async def read(self, offset, length):
        async with await MemoryStore.open(self.store, self.key) as reader:
            return await reader.read(offset, length)

    async def close(self):
        pass


class Bucket(MemoryStore):
    async def open(self, key):
        async with await super().open(key) as reader:
            return ByName(self, key, reader.size)


@pytest.mark.anyio
async def test_readers_go_on_while_the_object_moves_and_end_when_it_is_deleted(
    tmp_path: Path,
) -> None:
    store = TieredStore({"hot": Bucket(), "warm": Bucket(), "cold": Bucket()}, tmp_path)
    await store.start()
    stored = await put(store, DATA, identity())
    async with await store.open(stored.key) as reader:
        parts = [await reader.read(0, 1000)]
        await store.move(stored.key, "warm")
        parts.append(await reader.read(1000, 1000))
        await store.move(stored.key, "cold")
        parts.append(await reader.read(2000, len(DATA)))
        assert b"".join(parts) == DATA
        await store.delete(stored.key)
        await put(store, bytes(len(DATA)), identity())
        with pytest.raises(ObjectNotFoundError):
            await reader.read(0, 1)
