"""The node is killed at any moment: what was acknowledged is whole, nothing else is visible."""

import subprocess
import sys
from pathlib import Path

import pytest
from pacs_store_filesystem.store import FilesystemStore

from pacs_core.testing.object_store_harness import get

pytestmark = pytest.mark.anyio

WRITE_FOREVER = """
import itertools, os, sys
from pathlib import Path
import anyio
from pacs_core.contracts import InstanceIdentity
from pacs_store_filesystem.store import FilesystemStore

numbers = itertools.count()

def content(number):
    size = 1 + number % 7 * 400_000
    return b"%d:%d:" % (number, size) + bytes([number % 256]) * size

async def work(store):
    for number in numbers:
        who = InstanceIdentity("1.2", f"1.2.{number % 5}", f"1.2.{number}", "1.2")
        async with store.writer(who) as writer:
            data = memoryview(content(number))
            for start in range(0, len(data), 100_000):
                await writer.write([data[start : start + 100_000]])
            stored = await writer.commit()
            os.write(1, stored.key.encode() + b"\\n")
            if number % 3 == 0:
                await store.delete(stored.key)

async def main():
    store = FilesystemStore(Path(sys.argv[1]), nameless=sys.argv[2] == "True")
    await store.start()
    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(work, store)

anyio.run(main)
"""


def write_until_killed(root: Path, acknowledgements: int, *, nameless: bool) -> list[str]:
    """Return the keys that were acknowledged before the process was killed."""
    command = [sys.executable, "-c", WRITE_FOREVER, str(root), str(nameless)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(acknowledgements)]
        child.kill()
        rest = child.stdout.read()
    whole = ("".join(lines) + rest).rpartition("\n")[0]
    return whole.split("\n")


def is_whole(data: bytes) -> bool:
    number, size, rest = data.split(b":", 2)
    return rest == bytes([int(number) % 256]) * int(size)


@pytest.mark.parametrize("nameless", [True, False])
@pytest.mark.parametrize("acknowledgements", [1, 17, 60])
async def test_killed_while_it_commits(
    tmp_path: Path, acknowledgements: int, nameless: bool
) -> None:
    root = tmp_path / "objects"
    acknowledged = write_until_killed(root, acknowledgements, nameless=nameless)
    store = FilesystemStore(root, nameless=nameless)
    await store.start()
    visible = {stored.key: stored.size async for stored in store.objects()}
    for key, size in visible.items():
        data = await get(store, key)
        assert len(data) == size
        assert is_whole(data)
    kept = {key for key in acknowledged if int(key.rpartition(".dcm")[0].rpartition(".")[2]) % 3}
    assert kept <= set(visible)
    assert len(acknowledged) >= acknowledgements
    files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert files == set(visible), "something else was left"
    await store.stop()
