"""Directories, descriptors and system calls: what is made, fsynced, and left behind."""

import errno
import gc
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import anyio
import pytest
from pacs_store_filesystem.directories import Directories, Directory
from pacs_store_filesystem.staging import NamelessFile
from pacs_store_filesystem.store import FilesystemStore

from pacs_core.concurrency import Threads
from pacs_core.contracts import ObjectExistsError, ObjectNotFoundError
from pacs_core.testing.object_store_harness import MEBIBYTE, get, identity, listing, put

pytestmark = pytest.mark.anyio
both_ways = pytest.mark.parametrize("nameless", [True, False])


async def started(root: Path, *, nameless: bool = True) -> FilesystemStore:
    store = FilesystemStore(root, nameless=nameless)
    await store.start()
    return store


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def open_files(below: Path) -> set[str]:
    """Return files of this process that are in a folder, also such as have no name (any more)."""
    gc.collect()
    links = set()
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            links.add(os.readlink(f"/proc/self/fd/{number}"))
    return {link for link in links if link.startswith(f"{below}/")}


# Directories


@both_ways
async def test_the_last_object_takes_its_directories_along(tmp_path: Path, nameless: bool) -> None:
    store = await started(tmp_path, nameless=nameless)
    first, second = [await put(store, b"", identity(number)) for number in (1, 2)]
    await store.delete(first.key)
    assert files(tmp_path) == [second.key]
    await store.delete(second.key)
    assert os.listdir(tmp_path) == [".incoming"]
    await store.stop()


@both_ways
@pytest.mark.parametrize("size", [10, 3 * MEBIBYTE])
async def test_an_abort_leaves_not_even_a_directory(
    tmp_path: Path, nameless: bool, size: int
) -> None:
    store = await started(tmp_path, nameless=nameless)
    async with store.writer(identity()) as writer:
        await writer.write([bytes(size)])
    assert os.listdir(tmp_path) == [".incoming"]
    assert os.listdir(tmp_path / ".incoming") == []
    with pytest.raises(ValueError, match="aborted"):
        await writer.write([b"more"])
    with pytest.raises(ValueError, match="aborted"):
        await writer.commit()
    await store.stop()


async def test_a_directory_that_was_moved_is_not_written_to(tmp_path: Path) -> None:
    root = tmp_path / "objects"
    store = await started(root)
    await put(store, b"old", identity(1))
    (root / identity().study_instance_uid).rename(tmp_path / "elsewhere")
    stored = await put(store, b"new", identity(2))
    assert await listing(store) == {stored.key: 3}
    assert len(files(tmp_path / "elsewhere")) == 1
    await store.stop()


async def test_directories_come_and_go_under_the_feet_of_two_stores(tmp_path: Path) -> None:
    async def churn(store: FilesystemStore, number: int) -> None:
        for _ in range(25):
            stored = await put(store, b"data", identity(number))
            assert await get(store, stored.key) == b"data"
            await store.delete(stored.key)

    stores = [await started(tmp_path), await started(tmp_path, nameless=False)]
    async with anyio.create_task_group() as tasks:
        for number in range(8):
            tasks.start_soon(churn, stores[number % 2], number)
    assert os.listdir(tmp_path) == [".incoming"]
    for store in stores:
        await store.stop()


@pytest.mark.parametrize("begin", [NamelessFile, lambda directory: directory.fd])
def test_a_directory_that_vanishes_is_made_again(
    tmp_path: Path, begin: Callable[[Directory], object]
) -> None:
    directories = Directories(os.open(tmp_path, os.O_RDONLY), tmp_path)
    seen = []

    def link(directory: Directory) -> None:
        seen.append(directory)
        if len(seen) == 1:
            (tmp_path / "1" / "2").rmdir()
            (tmp_path / "1").rmdir()
        begin(directory)
        os.link(tmp_path / "file", "name", dst_dir_fd=directory.fd)

    (tmp_path / "file").write_text("data")
    directories.within("1/2", link)
    assert len(seen) == 2
    assert (tmp_path / "1" / "2" / "name").read_text() == "data"


# Input and output


class Calls:
    """Counts calls of a function of the system, which still does its work."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> None:
        self.count = 0
        function: Callable[..., object] = getattr(owner, name)

        def counted(*args: object, **kwargs: object) -> object:
            self.count += 1
            return function(*args, **kwargs)

        monkeypatch.setattr(owner, name, counted)


@both_ways
@pytest.mark.parametrize(("size", "hops"), [(0, 1), (MEBIBYTE - 1, 1), (3 * MEBIBYTE, 4)])
async def test_what_fits_the_buffer_takes_one_hop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nameless: bool, size: int, hops: int
) -> None:
    store = await started(tmp_path, nameless=nameless)
    calls = Calls(monkeypatch, Threads, "run")
    data = memoryview(bytes(size))
    async with store.writer(identity()) as writer:
        for start in range(0, size, 65_536):
            await writer.write([data[start : start + 65_536]])
        await writer.commit()
    assert calls.count == hops
    await store.stop()


async def test_commits_at_once_share_the_fsync_of_their_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writers = 16
    store = await started(tmp_path)
    await put(store, b"", identity(0))
    calls = Calls(monkeypatch, os, "fsync")
    async with anyio.create_task_group() as tasks:
        for number in range(1, writers + 1):
            tasks.start_soon(put, store, b"data", identity(number))
    assert writers < calls.count <= 2 * writers
    assert len(await listing(store)) == writers + 1
    await store.stop()


async def test_new_directories_are_fsynced_up_to_the_root_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await started(tmp_path)
    calls = Calls(monkeypatch, os, "fsync")
    await put(store, b"data", identity(1))
    assert calls.count == 4, "the object, its series, its study, the root"
    await put(store, b"data", identity(2))
    assert calls.count == 6, "the object, its series"
    await store.stop()


async def test_nothing_is_fsynced_if_it_need_not_be_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await started(tmp_path)
    calls = Calls(monkeypatch, os, "fsync")
    async with store.writer(identity(), durable=False) as writer:
        await writer.write([bytes(3 * MEBIBYTE)])
        await writer.commit()
    assert calls.count == 0
    await store.stop()


@both_ways
@pytest.mark.parametrize("failing", [1, 2, 3, 4])
async def test_an_fsync_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nameless: bool, failing: int
) -> None:
    store = await started(tmp_path, nameless=nameless)
    calls, fsync = [], os.fsync

    def fail(fd: int) -> None:
        calls.append(fd)
        if len(calls) == failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        await put(store, b"data", identity())
    assert os.listdir(tmp_path) == [".incoming"]
    assert os.listdir(tmp_path / ".incoming") == []
    await put(store, b"data", identity())
    await store.stop()


@both_ways
async def test_a_system_that_writes_a_part_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nameless: bool
) -> None:
    def write_a_part(fd: int, chunks: list[bytes | memoryview]) -> int:
        return os.write(fd, b"".join(chunks)[:3_333])

    monkeypatch.setattr(os, "writev", write_a_part)
    data = bytes(range(256)) * 100
    store = await started(tmp_path, nameless=nameless)
    async with store.writer(identity()) as writer:
        await writer.write([data[:5_000], memoryview(data)[5_000:5_001], data[5_001:]])
        stored = await writer.commit()
    assert await get(store, stored.key) == data
    assert stored.size == len(data)
    await store.stop()


@both_ways
async def test_no_file_stays_open(tmp_path: Path, nameless: bool) -> None:
    async def use(store: FilesystemStore) -> None:
        stored = await put(store, bytes(2 * MEBIBYTE), identity(1))
        with pytest.raises(ObjectExistsError):
            await put(store, b"again", identity(1))
        with pytest.raises(ObjectNotFoundError):
            await store.open("1/2/3.dcm")
        async with store.writer(identity(2)) as writer:
            await writer.write([bytes(2 * MEBIBYTE)])
            assert open_files(tmp_path)
        assert len(await get(store, stored.key)) == stored.size
        for number in range(200):
            await put(store, b"", identity(number, study=number + 2))
        with anyio.move_on_after(0):
            await put(store, bytes(2 * MEBIBYTE), identity(3))

    for _ in range(2):
        store = await started(tmp_path / "objects", nameless=nameless)
        await use(store)
        await store.stop()
        del store
        assert not open_files(tmp_path)
        for path in (tmp_path / "objects").rglob("*.dcm"):
            path.unlink()
