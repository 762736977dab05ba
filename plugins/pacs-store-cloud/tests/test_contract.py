"""The contract, on servers of S3, Azure and Google's protocol."""

import resource
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from hashlib import sha256
from pathlib import Path

import pytest
from pacs_store_cloud.cache import BlockCache
from pacs_store_cloud.errors import MisconfiguredError
from pacs_store_cloud.mirrored import MirroredStore
from pacs_store_cloud.spooled import SpooledStore
from pacs_store_filesystem.store import FilesystemStore

from pacs_core.contracts import ObjectExistsError, ObjectStore
from pacs_core.testing.object_store_contract import ObjectStoreContract
from pacs_core.testing.object_store_harness import MEBIBYTE, get, identity, put

from .clouds import (
    UntriedStore,
    configure_azure,
    configure_google,
    configure_s3,
    make_cloud_store,
)
from .google_server import run_google


@contextmanager
def small_files() -> Iterator[None]:
    """Let no file of this process grow beyond half a mebibyte."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (512 * 1024, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def prefix_of(directory: Path) -> str:
    """Return a prefix of its own for each directory."""
    return "t" + sha256(str(directory).encode()).hexdigest()[:16]


class CloudContract(ObjectStoreContract):
    url: str

    def without_room(self, directory: Path) -> AbstractContextManager[None]:
        return small_files()


class TestS3(CloudContract):
    @pytest.fixture(autouse=True)
    def _server(self, s3_url: str) -> None:
        self.url = s3_url

    def make_store(self, directory: Path) -> ObjectStore:
        config = configure_s3(self.url, prefix_of(directory))
        return make_cloud_store(config, directory, kind=UntriedStore)


class TestSpooled(CloudContract):
    """Uploaded as fast as can be: operations meet objects here, there, on their way, and cached."""

    @pytest.fixture(autouse=True)
    def _server(self, s3_url: str) -> None:
        self.url = s3_url

    def make_store(self, directory: Path) -> ObjectStore:
        config = configure_s3(self.url, prefix_of(directory))
        cache = BlockCache(directory / "cache", 4 * MEBIBYTE)
        target = make_cloud_store(config, directory, cache=cache, kind=UntriedStore)
        spool = FilesystemStore(directory / "spool")
        return SpooledStore(spool, target, directory / "locks", capacity=MEBIBYTE * 100, grace=0.2)

    def parts_of(self, store: ObjectStore) -> Sequence[ObjectStore]:
        assert isinstance(store, SpooledStore)
        return [store.spool]


class TestMirrored(ObjectStoreContract):
    """Of a spool that is kept on two machines."""

    def make_store(self, directory: Path) -> ObjectStore:
        parts = FilesystemStore(directory / "store"), FilesystemStore(directory / "copy")
        return MirroredStore(*parts, "main")

    def parts_of(self, store: ObjectStore) -> Sequence[ObjectStore]:
        assert isinstance(store, MirroredStore)
        return [store.wrapped, store.copy]

    def without_room(self, directory: Path) -> AbstractContextManager[None]:
        return small_files()


class TestAzure(CloudContract):
    @pytest.fixture(autouse=True)
    def _server(self, azure_url: str) -> None:
        self.url = azure_url

    def make_store(self, directory: Path) -> ObjectStore:
        config = configure_azure(self.url, prefix_of(directory))
        return make_cloud_store(config, directory, kind=UntriedStore)


@pytest.fixture(scope="module")
def google_url(s3_url: str) -> Iterator[str]:
    with run_google(s3_url) as url:
        yield url


@pytest.mark.long
class TestGoogle(CloudContract):
    @pytest.fixture(autouse=True)
    def _server(self, google_url: str) -> None:
        self.url = google_url

    def make_store(self, directory: Path) -> ObjectStore:
        config = configure_google(self.url, prefix_of(directory))
        return make_cloud_store(config, directory, kind=UntriedStore)


@pytest.mark.anyio
async def test_a_bucket_of_google_is_tried_out_at_start(tmp_path: Path, google_url: str) -> None:
    store = make_cloud_store(configure_google(google_url, "tried"), tmp_path)
    await store.start()
    for content in (b"data", bytes(range(256)) * 40_000):  # at once, and in parts
        stored = await put(store, content, identity(len(content)))
        assert await get(store, stored.key) == content
        with pytest.raises(ObjectExistsError):
            await put(store, b"other", identity(len(content)))
    await store.stop()
    store = make_cloud_store(configure_google(google_url, "p", bucket="nonesuch"), tmp_path)
    with pytest.raises(MisconfiguredError, match="there is no such bucket: make it"):
        await store.start()
    await store.stop()
