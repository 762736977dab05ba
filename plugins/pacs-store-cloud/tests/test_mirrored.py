"""The spool with a copy: what is acknowledged outlives either of the two folders."""

import shutil
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
import pytest
from pacs_store_cloud.mirrored import MirroredStore
from pacs_store_filesystem.store import FilesystemStore

from pacs_core.association import Proposal, connect
from pacs_core.contracts import ObjectExistsError, Peer, StorageFullError
from pacs_core.testing.cloud_servers import BUCKET
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import node_process
from pacs_core.testing.object_store_harness import get, identity, listing, put
from pacs_core.testing.transfers import retrieve
from pacs_core.testing.waiting import until

from .clouds import objects_in
from .fault_proxy import SLOW_DOWN, Fault, FaultProxy, run_fault_proxy

CONTENT = bytes(range(256)) * 1_000


@pytest.fixture
async def mirrored(tmp_path: Path) -> AsyncIterator[MirroredStore]:
    parts = FilesystemStore(tmp_path / "store"), FilesystemStore(tmp_path / "copy")
    for each in parts:
        await each.start()
    store = MirroredStore(*parts, "main")
    await store.start()
    yield store
    for each in parts:
        await each.stop()


@pytest.mark.anyio
@pytest.mark.parametrize("lost", ["store", "copy"])
async def test_what_is_acknowledged_is_there_when_either_folder_is_lost(
    mirrored: MirroredStore, tmp_path: Path, lost: str, caplog: pytest.LogCaptureFixture
) -> None:
    kept = [await put(mirrored, CONTENT + bytes([n]), identity(n)) for n in range(3)]
    shutil.rmtree(tmp_path / lost)
    (tmp_path / lost).mkdir()
    for n, each in enumerate(kept):
        assert await get(mirrored, each.key) == CONTENT + bytes([n])
    assert set(await listing(mirrored)) == {each.key for each in kept}
    with pytest.raises(ObjectExistsError):
        await put(mirrored, b"other", identity(0))
    await mirrored.delete(kept[0].key)
    assert set(await listing(mirrored)) == {each.key for each in kept[1:]}
    await mirrored.start()
    assert "on one file system" in caplog.text


@pytest.mark.anyio
async def test_nothing_is_taken_while_the_copy_fails(
    mirrored: MirroredStore, tmp_path: Path
) -> None:
    """Nothing is left of what the copy has not; and it goes again once that is back."""
    (tmp_path / "copy").rename(tmp_path / "elsewhere")  # as a mount that is gone
    with pytest.raises(StorageFullError, match="while the copy of its spool fails"):
        await put(mirrored, CONTENT, identity(1))
    assert await listing(mirrored.wrapped) == {}
    (tmp_path / "elsewhere").rename(tmp_path / "copy")
    stored = await put(mirrored, CONTENT, identity(1))
    assert await get(mirrored.copy, stored.key) == await get(mirrored.wrapped, stored.key)


@pytest.fixture
def proxy(s3_url: str) -> Iterator[FaultProxy]:
    with run_fault_proxy(s3_url) as proxy:
        yield proxy


def test_a_node_that_is_killed_and_loses_its_disk_has_all_from_the_copy(
    proxy: FaultProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bucket is away all the while; once it is back it has every byte."""
    monkeypatch.setenv("PACS_TEST_CLOUD_KEY", "testing")
    secret = {"env": "PACS_TEST_CLOUD_KEY"}
    here, there = tmp_path / "here", tmp_path / "there"
    tables = {
        "archive": {"store": "main", "space": {"reserve": 0}},
        "stores": {
            "disk": {"type": "filesystem", "root": str(here)},
            "other": {"type": "filesystem", "root": str(there)},
            "main": {
                "type": "s3", "bucket": BUCKET, "endpoint": proxy.url, "allow_http": True,
                "prefix": "mirrored", "access_key_id": secret, "secret_access_key": secret,
                "spool": "disk", "spool_copy": "other", "spool_grace": 0.0, "deadline": 1.0,
            },
        },
    }  # fmt: skip
    plugins = ("store-cloud", "store-filesystem", "index-sqlite", "sop-storage",
               "sop-query-retrieve")  # fmt: skip
    study = SampleStudy()
    samples = [study.make("CT", PixelData=CONTENT) for _ in range(4)]
    wanted = {each.sop_instance_uid: sha256(each.encode()).hexdigest() for each in samples}

    async def store(peer: Peer) -> None:
        async with connect(peer, [Proposal(samples[0].sop_class_uid)]) as association:
            for each in samples:
                uids = each.sop_class_uid, each.sop_instance_uid
                assert (await association.c_store(*uids, each.encode())).status == 0x0000

    def read(peer: Peer) -> dict[str, str]:
        received: dict[str, Any] = {}

        def take(uid: str, chunk: bytes | memoryview) -> None:
            received.setdefault(uid, sha256()).update(chunk)

        keys = {"StudyInstanceUID": study.study_instance_uid}
        anyio.run(retrieve, peer, keys, samples[0].sop_class_uid, take)
        return {uid: digest.hexdigest() for uid, digest in received.items()}

    folder = tmp_path / "node"
    folder.mkdir()
    proxy.always = lambda method, path: Fault(answer=SLOW_DOWN)
    # A new index must know whether the bucket has objects already.
    with (
        pytest.raises(RuntimeError, match="pacs: s3 archive: listing: given up after 1 s"),
        node_process(folder, tables, plugins=plugins),
    ):
        pass
    proxy.always = None
    with node_process(folder, tables, plugins=plugins) as node:
        proxy.always = lambda method, path: Fault(answer=SLOW_DOWN)
        anyio.run(store, node.peer)
        node.kill()
    assert len(objects_in(here)) == len(objects_in(there)) == len(samples)
    shutil.rmtree(here)
    with node_process(folder, tables, plugins=plugins) as node:
        assert read(node.peer) == wanted
        proxy.always = None
        until(lambda: not objects_in(there))
        assert read(node.peer) == wanted
        assert not objects_in(here)
