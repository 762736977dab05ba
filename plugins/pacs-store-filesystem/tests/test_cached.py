"""Files that are in memory are read at once, and whatever else there is, is left to a thread."""

import errno
import os
import sys
from contextlib import suppress

import pytest
from pacs_store_filesystem import cached
from pacs_store_filesystem.cached import MOST, CachedFiles
from pacs_store_filesystem.directories import Directory
from pacs_store_filesystem.store import FilesystemStore

from pacs_core.contracts import InstanceIdentity, ObjectNotFoundError

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="there are no such calls"),
]

IDENTITY = InstanceIdentity("1.2", "1.2.3", "1.2.3.4", "1.2.840.10008.5.1.4.1.1.2")


@pytest.fixture
def root(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(bytes(range(256)) * 5000)
    return tmp_path


@pytest.fixture
def files(root):
    files = CachedFiles(Directory(os.open(root, os.O_RDONLY), None))
    if files.open("a/file") is None:
        pytest.skip("the system does not open without waiting")
    return files


def test_what_is_in_memory_is_opened_and_read(files):
    file = files.open("a/file")
    assert file.size == 1_280_000
    data = files.read(file.fd, 3, 1_000_000)
    if data is None:
        pytest.skip("the file system does not read without waiting")
    assert data == (bytes(range(256)) * 5000)[3:1_000_003]
    os.close(file.fd)


def test_more_than_is_copied_in_a_moment_is_left_to_a_thread(files):
    file = files.open("a/file")
    assert files.read(file.fd, 0, MOST + 1) is None
    os.close(file.fd)


@pytest.mark.parametrize(
    "path", ["../a/file", "/etc/passwd", "a/../../x", "b", "a", "link", "pipe"]
)
def test_nothing_but_regular_files_below_the_root(files, root, path):
    (root / "link").symlink_to("a/file")
    os.mkfifo(root / "pipe")
    before = open_below(root)
    assert files.open(path) is None
    assert open_below(root) == before
    assert files.open("a/file") is not None


def open_below(root):
    """Return what this process has open there."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            found.append(os.readlink(f"/proc/self/fd/{number}"))
    return sorted(path for path in found if path.startswith(str(root)))


async def read_all(store):
    writer = store.writer(IDENTITY)
    await writer.write([b"abc" * 1000])
    stored = await writer.commit()
    reader, head = await store.open_and_read(stored.key, 1, 5)
    async with reader:
        assert (head, reader.size) == (b"bcabc", 3000)
    async with await store.open(stored.key) as reader:
        assert await reader.read(2990, 100) == b"cabcabcabc"
    with pytest.raises(ObjectNotFoundError):
        await store.open("1.2/1.2.3/1.2.3.5.dcm")


@pytest.mark.parametrize("error", [errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.EAGAIN])
async def test_where_the_system_cannot_a_thread_reads(tmp_path, monkeypatch, error):
    store = FilesystemStore(tmp_path)
    await store.start()
    tried = []

    def refuse(*arguments):
        tried.append(arguments)
        cached.ctypes.set_errno(error)
        return -1

    files = store._running().cached
    monkeypatch.setattr(files, "_openat2", refuse)
    await read_all(store)
    # What it will never do is not asked for again.
    assert len(tried) == (3 if error == errno.EAGAIN else 1)
    await store.stop()


@pytest.mark.parametrize("error", [errno.EOPNOTSUPP, errno.EAGAIN])
async def test_where_the_file_system_cannot_a_thread_reads(tmp_path, monkeypatch, error):
    store = FilesystemStore(tmp_path)
    await store.start()

    def refuse(*arguments):
        cached.ctypes.set_errno(error)
        return -1

    monkeypatch.setattr(store._running().cached, "_preadv2", refuse)
    await read_all(store)
    await store.stop()


async def test_a_part_is_not_taken_for_all(tmp_path, monkeypatch):
    store = FilesystemStore(tmp_path)
    await store.start()
    monkeypatch.setattr(store._running().cached, "_preadv2", lambda *arguments: 1)
    await read_all(store)
    await store.stop()


async def test_without_threads_for_what_is_in_memory(tmp_path, monkeypatch):
    store = FilesystemStore(tmp_path)
    await store.start()
    writer = store.writer(IDENTITY)
    await writer.write([b"abc" * 1000])
    stored = await writer.commit()
    file = store._running().cached.open(stored.key)
    if file is None or store._running().cached.read(file.fd, 0, 10) is None:
        pytest.skip("the system does not read without waiting")
    os.close(file.fd)

    async def run(*arguments):
        raise AssertionError("a thread was asked")

    monkeypatch.setattr(type(store._threads), "run", run)
    reader, head = await store.open_and_read(stored.key, 0, 3000)
    assert head == b"abc" * 1000
    assert await reader.read(3, 3) == b"abc"
    await reader.close()
    await store.stop()
