"""The read cache: it spares transfers, is bounded, and never gives other bytes."""

import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import anyio
import pytest
from pacs_store_cloud.cache import BlockCache
from pacs_store_cloud.config import S3Config
from pacs_store_cloud.reader import BLOCK
from pacs_store_cloud.store import CloudStore

from pacs_core.contracts import NotOnlineError, ObjectNotFoundError
from pacs_core.testing.object_store_harness import MEBIBYTE, get, identity, put

from .clouds import configure_s3, make_cloud_store
from .fault_proxy import SLOW_DOWN, Fault, FaultProxy, run_fault_proxy

pytestmark = pytest.mark.anyio

SMALL = random.Random(1).randbytes(200_000)
LARGE = random.Random(2).randbytes(5 * BLOCK + 17)


@pytest.fixture(scope="module")
def proxy(s3_url: str) -> Iterator[FaultProxy]:
    with run_fault_proxy(s3_url) as proxy:
        yield proxy


@pytest.fixture
def config(proxy: FaultProxy) -> Iterator[S3Config]:
    yield configure_s3(proxy.url, f"c{uuid4().hex}", deadline=1.0)
    proxy.always = None


@asynccontextmanager
async def running(
    config: S3Config, directory: Path, capacity: int = 100 * MEBIBYTE
) -> AsyncIterator[CloudStore]:
    store = make_cloud_store(config, directory, cache=BlockCache(directory / "cache", capacity))
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


def blocks(directory: Path) -> list[Path]:
    return [path for path in (directory / "cache").rglob("*") if path.is_file()]


async def test_what_was_read_is_not_transferred_again(
    proxy: FaultProxy, config: S3Config, tmp_path: Path
) -> None:
    async with running(config, tmp_path) as store:
        keys = [(await put(store, data, identity(n))).key for n, data in enumerate((SMALL, LARGE))]
        for key, data in zip(keys, (SMALL, LARGE), strict=True):
            assert await get(store, key) == data
    async with running(config, tmp_path) as store:  # also by another process
        proxy.seen.clear()
        for key, data in zip(keys, (SMALL, LARGE), strict=True):
            assert await get(store, key) == data
            async with await store.open(key) as reader:
                assert await reader.read(len(data) - 100, 100) == data[-100:]
        assert len([line for line in proxy.seen if line.startswith("GET")]) == 4
        proxy.always = lambda method, path: Fault(answer=SLOW_DOWN)
        assert await get(store, keys[1]) == LARGE, "objects never change: the cache will do"
        await store._reading.cache.forget(store._names.name(keys[0]))  # type: ignore[union-attr]
        with pytest.raises(NotOnlineError):
            await store.open(keys[0])


async def test_damaged_blocks_are_read_again(config: S3Config, tmp_path: Path) -> None:
    async with running(config, tmp_path) as store:
        key = (await put(store, LARGE, identity())).key
        assert await get(store, key) == LARGE
        files = [path for path in blocks(tmp_path) if path.name != "lock"]
        assert len(files) == 6
        for number, path in enumerate(files):
            raw = path.read_bytes()
            middle = len(raw) // 2
            damage = (raw[:middle], raw[: middle - 1] + b"??" + raw[middle + 1 :], b"")
            path.write_bytes(damage[number % 3])
        assert await get(store, key) == LARGE
        assert await get(store, key) == LARGE


async def test_an_object_that_another_node_has_replaced(config: S3Config, tmp_path: Path) -> None:
    async with running(config, tmp_path) as store:
        key = (await put(store, LARGE, identity())).key
        assert await get(store, key) == LARGE
        other = make_cloud_store(config, tmp_path / "other")
        await other.start()
        await other.delete(key)
        with pytest.raises(ObjectNotFoundError):
            await store.open(key)
        await put(other, LARGE[::-1], identity())
        assert await get(store, key) == LARGE[::-1]
        await store.delete(key)
        await put(store, SMALL, identity())
        assert await get(store, key) == SMALL
        await other.stop()


async def test_it_is_bounded_whoever_reads_at_once(config: S3Config, tmp_path: Path) -> None:
    """Two processes' stores on one directory, readers and deletions, and far too little room."""
    capacity = 4 * MEBIBYTE
    contents = [random.Random(n).randbytes(300_000 + n) for n in range(30)]
    async with (
        running(config, tmp_path, capacity) as one,
        running(config, tmp_path, capacity) as two,
    ):
        keys = [(await put(one, data, identity(n))).key for n, data in enumerate(contents)]

        async def read(store: CloudStore, seed: int) -> None:
            for number in random.Random(seed).choices(range(1, 30), k=25):
                assert await get(store, keys[number]) == contents[number]

        async with anyio.create_task_group() as tasks:
            for seed in range(6):
                tasks.start_soon(read, (one, two)[seed % 2], seed)
            tasks.start_soon(one.delete, keys[0])
    total = sum(path.stat().st_size for path in blocks(tmp_path))
    assert MEBIBYTE < total <= capacity * 1.2
