"""The spool: what is acknowledged before it is in the bucket, and what becomes of it."""

import logging
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import anyio
import pytest
from pacs_store_cloud.spooled import SpooledStore
from pacs_store_cloud.store import CloudStore
from pacs_store_filesystem.store import FilesystemStore

from pacs_core.contracts import ObjectExistsError, StorageFullError
from pacs_core.testing.object_store_harness import MEBIBYTE, get, identity, listing, put

from .clouds import configure_s3, make_cloud_store
from .fault_proxy import SLOW_DOWN, Fault, FaultProxy, run_fault_proxy

pytestmark = pytest.mark.anyio

CONTENT = bytes(range(256)) * 1_000


@pytest.fixture(scope="module")
def proxy(s3_url: str) -> Iterator[FaultProxy]:
    with run_fault_proxy(s3_url) as proxy:
        yield proxy


@pytest.fixture
def away(proxy: FaultProxy) -> Iterator[Callable[[bool], None]]:
    """Return what takes the bucket away, and gives it back."""

    def switch(to: bool) -> None:
        proxy.always = (lambda method, path: Fault(answer=SLOW_DOWN)) if to else None

    yield switch
    switch(False)


class Site:
    """A node's stores, and the bucket as others see it."""

    def __init__(self, proxy: FaultProxy, s3_url: str, directory: Path) -> None:
        prefix = f"s{uuid4().hex}"
        self.directory = directory
        self.through_proxy = configure_s3(proxy.url, prefix, deadline=0.5)
        self.direct = configure_s3(s3_url, prefix)
        self.spool = FilesystemStore(directory / "spool")
        self.bucket = make_cloud_store(self.direct, directory / "direct")

    def make_store(self, capacity: int = 100 * MEBIBYTE, grace: float = 0.0) -> SpooledStore:
        return SpooledStore(
            self.spool,
            make_cloud_store(self.through_proxy, self.directory),
            self.directory / "locks",
            name="main",
            capacity=capacity,
            grace=grace,
            patience=3.0,
        )

    async def __aenter__(self) -> "Site":
        await self.spool.start()
        await self.bucket.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.bucket.stop()
        await self.spool.stop()


@pytest.fixture
def site(proxy: FaultProxy, s3_url: str, tmp_path: Path) -> Site:
    return Site(proxy, s3_url, tmp_path)


async def wait_for(condition: Callable[[], Awaitable[bool]]) -> None:
    with anyio.fail_after(60):
        while not await condition():  # noqa: ASYNC110 it happens in another task
            await anyio.sleep(0.05)


async def tell(what: bool) -> bool:
    return what


async def holds(store: CloudStore | FilesystemStore, keys: set[str]) -> bool:
    return set(await listing(store)) == keys


async def test_a_bucket_that_is_away_for_long(
    site: Site, away: Callable[[bool], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Taken, served, never promised; uploaded by another process when the bucket is back."""
    away(True)
    async with site:
        store = site.make_store(capacity=5 * len(CONTENT))
        await store.start()
        keys = [(await put(store, CONTENT, identity(number))).key for number in range(5)]
        assert [await get(store, key) for key in keys] == [CONTENT] * 5
        with pytest.raises(StorageFullError, match="the spool of main is full"):
            await put(store, CONTENT, identity(6))
        with pytest.raises(ObjectExistsError):
            await site_variant(store, keys[0])
        with pytest.raises(OSError, match="objects that must be uploaded"):
            await store.deposit(keys)
        assert store.queues[0].waiting == 5 * len(CONTENT)
        assert await listing(site.bucket) == {}
        await store.stop()
        assert "objects stay in the spool until it answers" in caplog.text

        away(False)
        store = site.make_store()
        await store.start()
        await store.deposit(keys)
        assert set(await listing(site.bucket)) == set(keys)
        await wait_for(lambda: holds(site.spool, set()))
        assert [await get(store, key) for key in keys] == [CONTENT] * 5
        assert await listing(store) == dict.fromkeys(keys, len(CONTENT))
        await store.stop()


async def site_variant(store: SpooledStore, key: str) -> None:
    async with store.writer_at(key) as writer:
        store.uploader.used = 0  # there is room, and yet
        await writer.write([b"other"])
        await writer.commit()


async def test_a_bucket_that_goes_and_comes_while_it_runs(
    site: Site, away: Callable[[bool], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with site:
        store = site.make_store()
        await store.start()
        away(True)
        key = (await put(store, CONTENT, identity())).key
        await wait_for(lambda: tell(store.uploader.is_away))
        assert await get(store, key) == CONTENT
        away(False)
        await wait_for(lambda: holds(site.spool, set()))
        assert await get(store, key) == await get(site.bucket, key) == CONTENT
        await store.stop()
    assert "bytes wait in the spool, because they cannot be uploaded" in caplog.text
    assert "objects are uploaded again" in caplog.text


async def test_a_key_that_another_node_took_meanwhile(
    site: Site, away: Callable[[bool], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is overwritten, nothing acknowledged is lost, and it is never promised."""
    async with site:
        key = (await put(site.bucket, b"theirs", identity())).key
        same = (await put(site.bucket, b"same", identity(2))).key
        away(True)
        store = site.make_store()
        await store.start()
        await put(store, b"ours", identity())
        await put(store, b"same", identity(2))
        away(False)
        await wait_for(lambda: holds(site.spool, {key}))
        with pytest.raises(OSError, match="another object has the key"):
            await store.deposit([key])
        await store.deposit([same])
        assert await get(store, key) == b"ours"
        assert await get(site.bucket, key) == b"theirs"
        await store.stop()
    assert "another object has the key" in caplog.text


async def test_a_deletion_while_it_is_uploaded(site: Site, proxy: FaultProxy) -> None:
    """What was deleted does not come back."""
    async with site:
        store = site.make_store(grace=60)
        await store.start()
        proxy.faults.append(("PUT", "1.1.1.dcm", Fault(latency=0.3)))
        key = (await put(store, CONTENT, identity())).key
        await wait_for(lambda: tell(not proxy.faults))
        await store.delete(key)
        assert await listing(store) == await listing(site.bucket) == {}
        assert (await put(store, b"again", identity())).key == key
        await store.deposit([key])
        assert await get(site.bucket, key) == b"again"
        await store.stop()


async def test_a_spool_that_makes_other_keys(site: Site, tmp_path: Path) -> None:
    site.spool = FilesystemStore(tmp_path / "other", "{instance}.dcm")
    async with site:
        store = site.make_store()
        with pytest.raises(ValueError, match="leave out its `layout`"):
            await store.start()
        await store.stop()
