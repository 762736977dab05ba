"""The folder of backups: whole or absent, each content once, damage found."""

import json

import pytest
from pacs_backup.repository import BackupError, Entry, NewBackup, Repository
from pacs_backup.verifying import verify

pytestmark = pytest.mark.anyio


async def content(*chunks):
    for chunk in chunks:
        yield chunk


async def add(repository, backup, name, *chunks, kind="object"):
    sha256, size = await repository.add(content(*chunks))
    entry = Entry(kind, name, size, sha256)
    backup.add(entry)
    return entry


async def problems(repository, name):
    return [problem async for _, problem in verify(repository, name) if problem]


@pytest.fixture
async def repository(tmp_path):
    """One with a backup."""
    repository = Repository(tmp_path / "backups")
    with NewBackup(repository, "first") as backup:
        await add(repository, backup, "1/2/3", b"abc", b"def")
        await add(repository, backup, "1/2/4", b"abcdef")
        backup.finish()
    return repository


async def test_a_content_is_there_once_for_its_owner_only(repository):
    first, second = repository.entries("first")
    assert first.sha256 == second.sha256
    files = [path for path in repository.folder.rglob("*") if path.is_file()]
    assert len(files) == 2
    assert {path.stat().st_mode & 0o077 for path in (repository.folder, *files)} == {0}
    assert [chunk async for chunk in repository.read(first)] == [b"abcdef"]
    assert await problems(repository, repository.choose("")) == []


async def failing():
    yield b"x"
    raise OSError("no more")


async def test_one_that_was_interrupted_is_none(repository):
    with NewBackup(repository, "second") as backup:
        await add(repository, backup, "1/2/5", b"ghi")
        with pytest.raises(OSError, match="no more"):
            await repository.add(failing())
    assert repository.names == ["first"]
    assert not list(repository.folder.rglob("*partial*"))


async def test_damage_is_named(repository):
    first, _ = repository.entries("first")
    path = repository.path(first.sha256)
    path.write_bytes(b"abcdeF")
    assert repository.has(first)
    assert await problems(repository, "first") == [
        "object 1/2/3: the backup of it is damaged",
        "object 1/2/4: the backup of it is damaged",
    ]
    path.unlink()
    assert not repository.has(first)
    assert "No such file" in (await problems(repository, "first"))[0]


async def test_a_database_is_opened(repository):
    with NewBackup(repository, "second") as backup:
        await add(
            repository, backup, "index.sqlite", b"SQLite format 3\0 and no more", kind="database"
        )
        backup.finish()
    (problem,) = await problems(repository, "second")
    assert problem.startswith("database index.sqlite: ")


@pytest.mark.parametrize("damage", ["cut", "garbage", "unknown"])
async def test_a_list_that_is_not_whole_is_refused(repository, damage):
    path = repository.folder / "backups" / "first.jsonl"
    lines = path.read_text().splitlines()
    damaged = {
        "cut": lines[:1],
        "garbage": ["{", *lines],
        "unknown": [json.dumps({"kind": "object", "size": "many"}), *lines],
    }
    path.write_text("\n".join(damaged[damage]))
    with pytest.raises(BackupError, match="the list of the backup first is"):
        list(repository.entries("first"))


async def test_there_is_no_other(repository, tmp_path):
    with pytest.raises(BackupError, match="no backup second"):
        repository.choose("second")
    with pytest.raises(BackupError, match="no backup at all"):
        Repository(tmp_path / "elsewhere").choose("")
