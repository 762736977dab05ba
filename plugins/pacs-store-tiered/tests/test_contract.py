"""The contract of object stores, over two directories, of which the cold one is nearline."""

import resource
from collections.abc import Sequence
from contextlib import AbstractContextManager, contextmanager
from hashlib import sha256
from pathlib import Path

import pytest
from pacs_store_cloud.assembly import make_bucket
from pacs_store_cloud.config import AzureConfig, CloudConfig, S3Config
from pacs_store_cloud.keys import Names
from pacs_store_cloud.store import CloudStore
from pacs_store_filesystem.store import FilesystemStore
from pacs_store_tiered.store import TieredStore

from pacs_core.contracts import (
    Availability,
    NotOnlineError,
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectStore,
    Secret,
)
from pacs_core.testing.cloud_servers import ACCOUNT, ACCOUNT_KEY, BUCKET
from pacs_core.testing.memory_store import MemoryStore
from pacs_core.testing.object_store_contract import ObjectStoreContract
from pacs_core.testing.object_store_harness import get, identity, listing, put


@contextmanager
def small_files():
    """Let no file of this process grow beyond half a mebibyte."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (512 * 1024, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class TestFilesystems(ObjectStoreContract):
    def make_store(self, directory: Path) -> ObjectStore:
        hot, cold = FilesystemStore(directory / "hot"), FilesystemStore(directory / "cold")
        return TieredStore({"hot": hot, "cold": cold}, directory / "locks", nearline=["cold"])

    def parts_of(self, store: ObjectStore) -> Sequence[ObjectStore]:
        assert isinstance(store, TieredStore)
        return list(store.tiers.values())

    def without_room(self, directory: Path) -> AbstractContextManager[None]:
        return small_files()

    async def send_away(self, store: ObjectStore, key: str) -> None:
        assert isinstance(store, TieredStore)
        assert await store.move(key, "cold")
        assert not await store.move(key, "cold")

    async def test_an_object_comes_and_goes(self, tmp_path: Path) -> None:
        """What was recalled moves down again, without a copy being made; its key stays taken."""
        async with self.running(tmp_path) as store:
            assert isinstance(store, TieredStore)
            stored = await put(store, b"data", identity())
            for _ in range(2):
                await self.send_away(store, stored.key)
                with pytest.raises(ObjectExistsError):
                    await put(store, b"other", identity())
                assert [key async for key in store.recall([stored.key, "no"])] == [stored.key]
                assert await get(store, stored.key) == b"data"
            assert await listing(store) == {stored.key: 4}
            await store.delete(stored.key)
            assert await listing(store) == {}


class FilesystemAndBucket(TestFilesystems):
    """What moves down goes into a bucket, from which it is read where it is."""

    def configure(self, prefix: str) -> CloudConfig:
        raise NotImplementedError

    def make_store(self, directory: Path) -> ObjectStore:
        prefix = "t" + sha256(str(directory).encode()).hexdigest()[:16]
        config = self.configure(prefix)
        cold = CloudStore(
            make_bucket(config), Names(prefix, 3), directory / "tmp",
            part_size=config.part_size, large_uploads=config.large_uploads,
        )  # fmt: skip
        hot = FilesystemStore(directory / "hot")
        return TieredStore({"hot": hot, "cold": cold}, directory / "locks", nearline=["cold"])

    async def test_it_is_read_from_the_bucket_and_goes_on_while_it_moves(
        self, tmp_path: Path
    ) -> None:
        data = bytes(range(256)) * 20_000
        async with self.running(tmp_path) as made:
            assert isinstance(made, TieredStore)
            store = TieredStore(made.tiers, tmp_path / "locks")
            stored = await put(store, data, identity())
            async with await store.open(stored.key) as reader:
                parts = [await reader.read(0, 70_000)]
                assert await store.move(stored.key, "cold") == len(data)
                parts.append(await reader.read(70_000, len(data)))
            assert b"".join(parts) == await get(store, stored.key) == data
            assert not list((tmp_path / "hot").rglob("*.dcm"))
            assert await store.places([stored.key]) == {stored.key: "cold"}
            await store.delete(stored.key)


class TestFilesystemAndS3(FilesystemAndBucket):
    @pytest.fixture(autouse=True)
    def _server(self, s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PACS_TEST_CLOUD_KEY", "testing")
        self.url = s3_url

    def configure(self, prefix: str) -> CloudConfig:
        key = Secret(env="PACS_TEST_CLOUD_KEY")
        return S3Config(
            bucket=BUCKET, endpoint=self.url, prefix=prefix, allow_http=True, deadline=20.0,
            access_key_id=key, secret_access_key=key,
        )  # fmt: skip


@pytest.mark.long
class TestFilesystemAndAzure(FilesystemAndBucket):
    @pytest.fixture(autouse=True)
    def _server(self, azure_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PACS_TEST_AZURE_KEY", ACCOUNT_KEY)
        self.url = azure_url

    def configure(self, prefix: str) -> CloudConfig:
        return AzureConfig(
            container=BUCKET, account=ACCOUNT, account_key=Secret(env="PACS_TEST_AZURE_KEY"),
            endpoint=self.url, prefix=prefix, allow_http=True, deadline=20.0,
        )  # fmt: skip


class Away(MemoryStore):
    """A store that does not answer once it was said to be gone."""

    is_gone = False

    async def open(self, key):
        if self.is_gone:
            raise ConnectionError("no route to host")
        return await super().open(key)

    async def availability(self, keys):
        if self.is_gone:
            raise ConnectionError("no route to host")
        return await super().availability(keys)


@pytest.mark.anyio
async def test_a_tier_that_does_not_answer_harms_nothing_else(tmp_path: Path) -> None:
    hot, warm, cold = MemoryStore(), Away(), MemoryStore()
    tiers = {"hot": hot, "warm": warm, "cold": cold}
    store = TieredStore(tiers, tmp_path)
    await store.start()
    keys = [(await put(store, b"data", identity(number))).key for number in range(3)]
    await store.move(keys[1], "warm")
    await store.move(keys[2], "cold")
    warm.is_gone = True
    found = await store.availability([*keys, "no"])
    online, offline = Availability.ONLINE, Availability.OFFLINE
    assert found == [online, offline, online, offline]
    assert [await get(store, key) for key in (keys[0], keys[2])] == [b"data"] * 2
    with pytest.raises(NotOnlineError, match=r"OFFLINE: the tier warm .*no route to host"):
        await store.open(keys[1])
    assert [key async for key in store.recall([keys[2]])] == [keys[2]]
    await put(store, b"new", identity(4))
    warm.is_gone = False
    with pytest.raises(ObjectNotFoundError):
        await store.open("no")
    # The same tier, said to be away, is not asked, and nothing is deleted that it might have.
    store = TieredStore(tiers, tmp_path, offline=["warm"])
    assert await store.availability(keys) == [online, offline, online]
    listed = []
    with pytest.raises(NotOnlineError, match="listed, for the tier warm"):  # noqa: PT012
        async for each in store.objects():
            listed.append(each.key)  # noqa: PERF401 it ends by raising
    assert {*keys} - {*listed} == {keys[1]}
    with pytest.raises(NotOnlineError, match="not deleted"):
        await store.delete(keys[0])
    assert await get(store, keys[0]) == b"data"


@pytest.mark.anyio
async def test_tiers_that_make_different_keys_are_refused(tmp_path: Path) -> None:
    """Those of these two differ in variants only."""
    flat = FilesystemStore(tmp_path / "flat")
    store = TieredStore({"hot": MemoryStore(), "cold": flat}, tmp_path / "locks")
    await flat.start()
    try:
        with pytest.raises(ValueError, match="the same keys"):
            await store.start()
    finally:
        await flat.stop()
