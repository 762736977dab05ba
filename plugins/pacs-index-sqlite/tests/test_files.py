"""The files of an index: whether those that are open are still the ones in use."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pacs_index_sqlite import files
from pacs_index_sqlite.errors import GoneIndexError, ReplacedIndexError
from pacs_index_sqlite.files import IndexFiles

Change = Callable[[Path], object]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    directory = tmp_path / "data"
    directory.mkdir()
    for suffix in ("", *files.ACCOMPANYING):
        (directory / f"index.sqlite{suffix}").touch()
    return directory / "index.sqlite"


@pytest.fixture(params=["at once", "settled"])
def opened(
    path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> IndexFiles:
    """Files that were compared once, of a directory that was changed just now, or long ago."""
    if request.param == "settled":
        later = os.stat(path.parent).st_ctime_ns + 3_000_000_000
        monkeypatch.setattr("time.time_ns", lambda: later)
    opened = IndexFiles(path, path.resolve())
    opened.check()
    return opened


def put_another_in_its_place(path: Path) -> None:
    (path.parent / "new").touch()
    (path.parent / "new").rename(path)


def put_another_directory_in_its_place(path: Path) -> None:
    path.parent.rename(path.parent.with_name("away"))
    path.parent.mkdir()
    path.touch()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (Path.unlink, GoneIndexError),
        (lambda path: path.with_name("index.sqlite-wal").unlink(), GoneIndexError),
        (lambda path: path.with_name("index.sqlite-shm").unlink(), GoneIndexError),
        (lambda path: path.parent.rename(path.parent.with_name("away")), GoneIndexError),
        (put_another_in_its_place, ReplacedIndexError),
        (put_another_directory_in_its_place, ReplacedIndexError),
    ],
)
def test_a_change_is_noticed_each_time(
    opened: IndexFiles, path: Path, change: Change, error: type[Exception]
) -> None:
    opened.check()
    change(path)
    for _ in range(3):
        with pytest.raises(error):
            opened.check()


def test_other_files_beside_it_may_change(opened: IndexFiles, path: Path) -> None:
    (path.parent / "other").touch()
    opened.check()
    (path.parent / "other").unlink()
    opened.check()


@pytest.mark.parametrize("beside", [True, False])
def test_a_link_that_leads_elsewhere_is_noticed(
    tmp_path: Path, path: Path, beside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the change is in neither of the two directories."""
    version = tmp_path / "version"
    version.symlink_to("data")
    actual = path.rename(path.with_name("index.sqlite.1"))
    for suffix in files.ACCOMPANYING:
        path.with_name(f"index.sqlite{suffix}").rename(f"{actual}{suffix}")
    link = path if beside else tmp_path / "index.sqlite"
    link.symlink_to(actual.name if beside else version / actual.name)
    later = os.stat(path.parent).st_ctime_ns + 3_000_000_000
    monkeypatch.setattr("time.time_ns", lambda: later)
    opened = IndexFiles(link, actual)
    opened.check()
    if beside:
        path.with_name("index.sqlite.2").touch()
        link.unlink()
        link.symlink_to("index.sqlite.2")
    else:
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / actual.name).touch()
        version.unlink()
        version.symlink_to("other")
    with pytest.raises(ReplacedIndexError):
        opened.check()


def test_a_settled_directory_is_looked_at_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later = os.stat(path.parent).st_ctime_ns + 3_000_000_000
    monkeypatch.setattr("time.time_ns", lambda: later)
    opened = IndexFiles(path, path)
    opened.check()
    monkeypatch.setattr(files, "identity", lambda _: pytest.fail("compared again"))
    opened.check()
