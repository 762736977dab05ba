"""There is no room: the writer says so and leaves nothing, and the store goes on."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pacs_store_filesystem.store import FilesystemStore

from pacs_core.contracts import StorageFullError
from pacs_core.testing.object_store_harness import identity, listing, put

pytestmark = pytest.mark.anyio
MEBIBYTE = 1024 * 1024

EXCEED_LIMIT = """
import resource, sys
from pathlib import Path
import anyio
from pacs_core.contracts import StorageFullError
from pacs_core.testing.object_store_harness import identity, put
from pacs_store_filesystem.store import FilesystemStore

async def main():
    store = FilesystemStore(Path(sys.argv[1]), nameless=sys.argv[2] == "True")
    await store.start()
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
    for size in (300_001, 3_000_000):
        try:
            await put(store, bytes(size), identity(size))
        except StorageFullError as error:
            print(error.errno, error.filename, error)
    await put(store, bytes(300_000), identity(1))
    print([stored.size async for stored in store.objects()])
    await store.stop()

anyio.run(main)
"""


@pytest.mark.parametrize("nameless", [True, False])
def test_a_file_size_limit(tmp_path: Path, nameless: bool) -> None:
    root = tmp_path / "objects"
    command = [sys.executable, "-c", EXCEED_LIMIT, str(root), str(nameless)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    small, large, sizes = output.splitlines()
    for line in (small, large):
        assert line.startswith(f"{errno.EFBIG} {root}")
        assert "ulimit -f" in line
    assert sizes == "[300000]"
    assert [path.name for path in root.rglob("*") if path.is_file()] == ["1.2.826.0.1.1.1.1.dcm"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("mounting a small file system is not permitted here")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.parametrize("nameless", [True, False])
@pytest.mark.parametrize("size", [900_000, 6 * MEBIBYTE])
async def test_a_full_disk(small_disk: Path, nameless: bool, size: int) -> None:
    store = FilesystemStore(small_disk / "objects", nameless=nameless)
    await store.start()
    stored = {}

    async def fill() -> None:
        for number in range(20):
            who = identity(number, study=number)
            stored[(await put(store, bytes(size), who)).key] = size

    with pytest.raises(StorageFullError, match="free space") as caught:
        await fill()
    assert caught.value.errno == errno.ENOSPC
    assert await listing(store) == stored
    assert set(os.listdir(small_disk / "objects")) == {
        ".incoming",
        *(key.partition("/")[0] for key in stored),
    }
    for key in stored:
        await store.delete(key)
    await put(store, bytes(3 * MEBIBYTE), identity())
    await store.stop()
