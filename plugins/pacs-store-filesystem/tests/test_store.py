"""What this store promises beyond the contract."""

import fcntl
import os
from pathlib import Path

import pytest
from pacs_store_filesystem import FilesystemConfig, pacs_config, pacs_object_stores
from pacs_store_filesystem.store import FilesystemStore

from pacs_core.contracts import NodeSettings, ObjectNotFoundError, Setup
from pacs_core.testing.object_store_harness import MEBIBYTE, identity, listing, put

pytestmark = pytest.mark.anyio


async def started(root: Path, *, nameless: bool = True) -> FilesystemStore:
    store = FilesystemStore(root, nameless=nameless)
    await store.start()
    return store


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


# Registration


async def test_the_descriptor_creates_a_store_below_the_data_directory(tmp_path: Path) -> None:
    assert pacs_config() is FilesystemConfig
    configs = {FilesystemConfig: FilesystemConfig(layout="{instance}")}
    setup = Setup(NodeSettings(data_directory=tmp_path), configs)
    [descriptor] = pacs_object_stores(setup)
    assert descriptor.name == "filesystem"
    store = descriptor.create(setup)
    assert os.listdir(tmp_path) == [], "creating does no input or output"
    await store.start()
    stored = await put(store, b"data", identity())
    await store.stop()
    assert (tmp_path / "objects" / stored.key).read_bytes() == b"data"


async def test_a_store_that_does_not_run_says_so(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path)
    with pytest.raises(RuntimeError, match="not started"):
        store.writer(identity())
    await store.stop()


# The root


@pytest.mark.parametrize("nameless", [True, False])
@pytest.mark.parametrize("replaced", [True, False])
async def test_a_root_that_is_moved_away_takes_nothing(
    tmp_path: Path, nameless: bool, replaced: bool
) -> None:
    """What went there would be acknowledged, and found by nobody after a restart."""
    root, away = tmp_path / "objects", tmp_path / "away"
    store = await started(root, nameless=nameless)
    kept = await put(store, b"kept", identity())
    root.rename(away)
    if replaced:
        root.mkdir()
    before = files(away)
    for data in (b"lost", bytes(2 * MEBIBYTE)):
        with pytest.raises(OSError, match="moved, deleted or replaced while") as caught:
            await put(store, data, identity(2))
        assert caught.value.filename == str(root)
    assert files(away) == before
    if replaced:
        root.rmdir()
    away.rename(root)
    await put(store, b"again", identity(2))
    assert (root / kept.key).read_bytes() == b"kept"
    await store.stop()


async def test_a_root_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for root in (tmp_path / "file", tmp_path / "file" / "objects"):
        with pytest.raises(OSError, match="must be a directory that the node may write") as caught:
            await started(root)
        assert caught.value.filename == str(root)


async def test_the_root_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    (tmp_path / "objects").symlink_to("volume")
    store = await started(tmp_path / "objects")
    stored = await put(store, b"data", identity())
    assert (tmp_path / "volume" / stored.key).read_bytes() == b"data"
    await store.stop()


async def test_objects_are_not_for_everybody(tmp_path: Path) -> None:
    store = await started(tmp_path / "objects")
    stored = await put(store, b"data", identity())
    path = tmp_path / "objects" / stored.key
    assert path.stat().st_mode & 0o007 == 0
    assert path.parent.stat().st_mode & 0o007 == 0
    await store.stop()


async def test_leftovers_of_the_dead_are_removed_and_those_of_the_living_not(
    tmp_path: Path,
) -> None:
    incoming = tmp_path / ".incoming"
    incoming.mkdir()
    (incoming / "dead").write_bytes(b"half")
    (incoming / "living").write_bytes(b"half")
    with (incoming / "living").open() as living:
        fcntl.flock(living, fcntl.LOCK_EX)
        store = await started(tmp_path)
        assert files(tmp_path) == [".incoming/living"]
        await store.stop()
    await (await started(tmp_path)).stop()
    assert files(tmp_path) == []


async def test_a_store_that_starts_leaves_another_ones_writers_alone(tmp_path: Path) -> None:
    store = await started(tmp_path, nameless=False)
    async with store.writer(identity()) as writer:
        await writer.write([bytes(2 * MEBIBYTE)])
        other = await started(tmp_path, nameless=False)
        stored = await writer.commit()
    assert await listing(other) == {stored.key: 2 * MEBIBYTE}
    await store.stop()
    await other.stop()


# Nothing outside, nothing foreign


async def test_links_lead_nowhere(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "2").mkdir(parents=True)
    (outside / "2" / "3.dcm").write_bytes(b"secret")
    root = tmp_path / "objects"
    store = await started(root)
    (root / "1").symlink_to(outside)
    (root / "4" / "2").mkdir(parents=True)
    (root / "4" / "2" / "3.dcm").symlink_to(outside / "2" / "3.dcm")
    (root / "5").mkdir()
    (root / "5" / "2").symlink_to(outside / "2")
    for key in ("1/2/3.dcm", "4/2/3.dcm", "5/2/3.dcm"):
        with pytest.raises(ObjectNotFoundError):
            await store.open(key)
        with pytest.raises(ObjectNotFoundError):
            await store.delete(key)
    assert await listing(store) == {}
    assert (outside / "2" / "3.dcm").read_bytes() == b"secret"
    await store.stop()


async def test_writing_through_a_link_is_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    store = await started(tmp_path / "objects")
    who = identity()
    (tmp_path / "objects" / who.study_instance_uid).symlink_to(outside)
    with pytest.raises(OSError, match=r"Not a directory|symbolic link"):
        await put(store, b"data", who)
    assert list(outside.iterdir()) == []
    await store.stop()


async def test_what_is_no_object_is_neither_opened_nor_listed(tmp_path: Path) -> None:
    store = await started(tmp_path)
    (tmp_path / "1" / "2" / "3.dcm").mkdir(parents=True)
    os.mkfifo(tmp_path / "1" / "2" / "4.dcm")
    for name in ("notes.txt", "1/2/notes.txt", "1/2/.5.dcm", "1/6.dcm"):
        (tmp_path / name).write_text("foreign")
    for key in ("1/2/3.dcm", "1/2/4.dcm", "notes.txt", "1/2/notes.txt", "1/2/.5.dcm", "1/6.dcm"):
        with pytest.raises(ObjectNotFoundError):
            await store.open(key)
        with pytest.raises(ObjectNotFoundError):
            await store.delete(key)
    assert await listing(store) == {}
    await store.stop()


# Reading


async def test_a_reader_refuses_nonsense(tmp_path: Path) -> None:
    store = await started(tmp_path)
    stored = await put(store, b"data", identity())
    reader = await store.open(stored.key)
    for offset, length in ((-1, 1), (0, -1)):
        with pytest.raises(ValueError, match="must not be negative"):
            await reader.read(offset, length)
    await reader.close()
    with pytest.raises(ValueError, match="closed"):
        await reader.read(0, 1)
    await store.stop()
