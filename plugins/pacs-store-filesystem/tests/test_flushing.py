"""Flushing: one by one or together, again after a failure, and never in vain."""

import errno
import os
from pathlib import Path

import pytest
from pacs_store_filesystem import flushing
from pacs_store_filesystem.flushing import FEW, sync_file_system, write_again
from pacs_store_filesystem.store import FilesystemStore

from pacs_core.contracts import StorageFullError
from pacs_core.testing.object_store_harness import get, identity

pytestmark = pytest.mark.anyio


async def started(root: Path) -> FilesystemStore:
    store = FilesystemStore(root)
    await store.start()
    return store


async def put_later(store: FilesystemStore, count: int) -> list[str]:
    keys = []
    for number in range(count):
        async with store.writer(identity(number, series=number % 2), durable=False) as writer:
            await writer.write([b"%d" % number * 1000])
            keys.append((await writer.commit()).key)
    return keys


class Fsyncs:
    """Names what is fsynced, and fails when told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
        self.paths: list[str] = []
        self.failing = ""
        self._root = root
        self._fsync = os.fsync
        monkeypatch.setattr(os, "fsync", self)

    def __call__(self, fd: int) -> None:
        path = str(Path(os.readlink(f"/proc/self/fd/{fd}")).relative_to(self._root))
        if self.failing and path.endswith(self.failing):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.paths.append(path)
        self._fsync(fd)


async def test_few_are_fsynced_each_and_then_their_directories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await started(tmp_path)
    keys = await put_later(store, 4)
    fsyncs = Fsyncs(monkeypatch, tmp_path)
    await store.flush(keys)
    assert sorted(fsyncs.paths[:4]) == sorted(keys)
    directories = {str(Path(key).parent) for key in keys}
    assert set(fsyncs.paths[4:]) == directories | {"1.2.826.0.1.1", "."}
    await store.stop()


async def test_many_are_flushed_with_their_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if flushing._syncfs is None:
        pytest.skip("this system has no syncfs that reports errors")
    store = await started(tmp_path)
    keys = await put_later(store, FEW + 1)
    fsyncs = Fsyncs(monkeypatch, tmp_path)
    flushed: list[int] = []
    monkeypatch.setattr(flushing, "sync_file_system", flushed.append)
    await store.flush(keys)
    assert len(flushed) == 1
    assert fsyncs.paths == []
    await store.stop()


def test_a_file_system_that_cannot_be_flushed_is_an_error(tmp_path: Path) -> None:
    if flushing._syncfs is None:
        pytest.skip("this system has no syncfs that reports errors")
    fd = os.open(tmp_path, os.O_RDONLY)
    sync_file_system(fd)
    os.close(fd)
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        sync_file_system(fd)


@pytest.mark.parametrize("count", [3, FEW + 5])
async def test_after_a_failure_objects_are_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """A second fsync says nothing of pages that the first could not write."""
    store = await started(tmp_path)
    keys = await put_later(store, count)
    contents = {key: await get(store, key) for key in keys}
    again: list[str] = []

    def noted(fd: int) -> None:
        again.append(str(Path(os.readlink(f"/proc/self/fd/{fd}")).relative_to(tmp_path)))
        write_again(fd)

    def broken(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(flushing, "write_again", noted)
    with monkeypatch.context() as failing:
        failing.setattr(flushing, "sync_file_system", broken)
        failing.setattr(os, "fsync", broken)
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            await store.flush(keys)
    assert again == []
    await store.flush(keys)
    assert sorted(again) == sorted(keys)
    await store.flush(keys)
    assert len(again) == count
    assert {key: await get(store, key) for key in keys} == contents
    await store.stop()


async def test_one_that_fails_fails_the_flush(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await started(tmp_path)
    keys = await put_later(store, 4)
    fsyncs = Fsyncs(monkeypatch, tmp_path)
    fsyncs.failing = keys[1]
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        await store.flush(keys)
    assert set(fsyncs.paths) >= set(keys) - {keys[1]}
    await store.stop()


async def test_a_full_disk_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    store = await started(tmp_path)
    keys = await put_later(store, 1)
    with monkeypatch.context() as failing:
        failing.setattr(os, "fsync", full)
        with pytest.raises(StorageFullError, match="free space"):
            await store.flush(keys)
    await store.stop()


@pytest.mark.parametrize("size", [0, 1, 3 * 1024 * 1024 + 7])
def test_writing_again_changes_nothing(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    data = os.urandom(size)
    path.write_bytes(data)
    fd = os.open(path, os.O_RDWR)
    write_again(fd)
    os.close(fd)
    assert path.read_bytes() == data
