"""Backups in a bucket of a real S3 server: whole or absent there, held against digests here."""

import anyio
import pytest
from pacs_backup.commands import BY_VERB
from pacs_backup.repository import Entry, NewBackup, Repository

from pacs_core.api.commands import CommandError
from pacs_core.testing.cloud_servers import BUCKET, run_s3, s3_environment


@pytest.fixture(scope="module")
def server():
    with run_s3() as url:
        yield url


@pytest.fixture
def bucket(server, monkeypatch, tmp_path):
    for name, value in s3_environment(server).items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{tmp_path.name}"


@pytest.fixture
def repository(tmp_path):
    """One with two backups that share a content."""
    repository = Repository(tmp_path / "backups")
    anyio.run(fill, repository)
    return repository


async def fill(repository):
    for name, contents in {"first": (b"a" * 5000, b"b"), "second": (b"a" * 5000, b"")}.items():
        with NewBackup(repository, name) as backup:
            for number, data in enumerate(contents):
                sha256, size = await repository.add(chunks(data))
                backup.add(Entry("object", str(number), size, sha256))
            backup.finish()


async def chunks(data):
    yield data


def told(capsys, verb, *arguments, **options):
    BY_VERB[verb](*arguments, **options)
    return capsys.readouterr().out


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock"
    }


def test_what_is_pushed_comes_back_and_only_what_is_missing_moves(
    repository, bucket, tmp_path, capsys
):
    assert told(capsys, "push", repository.folder, bucket) == "5 files copied, 0 known, 0 deleted\n"
    assert told(capsys, "push", repository.folder, bucket) == "0 files copied, 5 known, 0 deleted\n"
    copy = tmp_path / "copy"
    assert told(capsys, "pull", copy, bucket) == "5 files copied, 0 known, 0 deleted\n"
    assert files(copy) == files(repository.folder)
    assert {path.stat().st_mode & 0o077 for path in copy.rglob("*")} == {0}
    assert BY_VERB["verify"](copy) == 0
    capsys.readouterr()
    # Cut short, it goes on.
    next(
        path for path in copy.rglob("*") if path.is_file() and path.stat().st_size == 5000
    ).unlink()
    assert told(capsys, "pull", copy, bucket) == "1 file copied, 4 known, 0 deleted\n"
    # What was pruned here is taken away there when that is said.
    repository.list_of("first").unlink()
    told(capsys, "prune", repository.folder, keep_last=1, yes=True)
    assert told(capsys, "push", repository.folder, bucket).endswith("0 deleted\n")
    assert told(capsys, "push", repository.folder, bucket, prune=True).endswith("2 deleted\n")
    again = tmp_path / "again"
    told(capsys, "pull", again, bucket)
    assert Repository(again).names == ["second"]
    assert BY_VERB["verify"](again) == 0


def test_damage_in_the_bucket_gets_no_name(repository, bucket, tmp_path, capsys):
    first, _ = repository.entries("first")
    path = repository.path(first.sha256)
    whole = path.read_bytes()
    path.write_bytes(b"x" * len(whole))
    told(capsys, "push", repository.folder, bucket)
    copy = tmp_path / "copy"
    with pytest.raises(CommandError, match="is damaged; what was copied so far stays"):
        BY_VERB["pull"](copy, bucket)
    assert not (copy / "contents" / first.sha256[:2] / first.sha256).exists()
    assert Repository(copy).names == []  # lists come last


def test_what_is_not_there_is_said(tmp_path, bucket):
    with pytest.raises(CommandError, match="there is no backup in"):
        BY_VERB["pull"](tmp_path / "copy", f"{bucket}-none")
    with pytest.raises(CommandError, match="is no bucket"):
        BY_VERB["pull"](tmp_path / "copy", "nonsense")
    with pytest.raises(CommandError, match="nowhere"):
        BY_VERB["pull"](tmp_path / "copy", "s3://nowhere/at-all")
    assert Repository(tmp_path / "copy").names == []
