"""Rotation, several processes, and disks that are full: no event is lost or torn."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from pacs_audit_json.rotating import RotatingFile


def opened(
    path: Path, *, max_bytes: int = 0, backups: int = 0, fsync: bool = False
) -> RotatingFile:
    file = RotatingFile(path, max_bytes=max_bytes, backups=backups, fsync=fsync)
    file.open()
    return file


def lines(path: Path) -> list[bytes]:
    """Return all lines, also those set aside, in the order of writing."""
    older = path.parent.glob(path.name + ".[1-9]*")
    files = [*sorted(older, key=lambda old: int(old.suffix[1:])), path]
    return [text for file in files for text in file.read_bytes().splitlines(keepends=True)]


@pytest.mark.parametrize("fsync", [True, False])
@pytest.mark.parametrize("batch", [1, 3, 100])
def test_full_files_are_set_aside_and_none_is_too_large(
    tmp_path: Path, batch: int, fsync: bool
) -> None:
    path = tmp_path / "a"
    file = opened(path, max_bytes=100, fsync=fsync)
    written = [b"%027d\n" % number for number in range(100)]
    for start in range(0, 100, batch):
        file.write(written[start : start + batch])
    file.close()
    assert lines(path) == written
    assert len(list(tmp_path.glob("a.[1-9]*"))) == 33
    assert max(old.stat().st_size for old in tmp_path.iterdir()) <= 100


def test_a_line_that_is_too_long_gets_a_file_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "a"
    file = opened(path, max_bytes=10)
    written = [b"x" * 50 + b"\n", b"short\n", b"y" * 50 + b"\n", b"short\n"]
    for text in written:
        file.write([text])
    file.close()
    assert lines(path) == written
    assert len(list(tmp_path.glob("a.[1-9]*"))) == 3


def test_only_so_many_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a"
    file = opened(path, max_bytes=10, backups=2)
    written = [b"%08d\n" % number for number in range(20)]
    file.write(written)
    file.close()
    assert lines(path) == written[-3:]
    assert sorted(os.listdir(tmp_path)) == ["a", "a.18", "a.19", "a.lock"]


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a"
    others = ["a.0", "a.01", "a.gz", "a.1.gz", "a.-1", "a.\u0661", "b.1", "a." + "9" * 30]
    for name in others:
        (tmp_path / name).write_text("kept")
    file = opened(path, max_bytes=10, backups=1)
    file.write([b"%08d\n" % number for number in range(5)])
    file.close()
    assert {(tmp_path / name).read_text() for name in others} == {"kept"}
    assert sorted(set(os.listdir(tmp_path)) - set(others)) == ["a", "a.4", "a.lock"]


def test_a_file_that_somebody_moved_or_removed_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "a"
    file = opened(path)
    file.write([b"first\n"])
    path.rename(tmp_path / "moved")
    file.write([b"second\n"])
    assert (path.read_bytes(), (tmp_path / "moved").read_bytes()) == (b"second\n", b"first\n")
    path.unlink()
    file.write([b"third\n"])
    assert path.read_bytes() == b"third\n"
    file.close()


def test_half_a_line_of_a_crash_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b'{"whole":1}\n{"ha')
    file = opened(path)
    file.write([b'{"next":2}\n'])
    file.close()
    assert lines(path) == [b'{"whole":1}\n', b'{"ha\n', b'{"next":2}\n']


WRITE_BEYOND_LIMIT = """
import resource, sys
from pathlib import Path
from pacs_audit_json.rotating import RotatingFile

file = RotatingFile(Path(sys.argv[1]), max_bytes=0, backups=0, fsync=False)
file.open()
file.write([b"first\\n"])
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
try:
    file.write([b"x" * 500 + b"\\n"])
except OSError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
file.write([b"third\\n"])
"""


def test_no_half_line_stays_where_there_was_no_room(tmp_path: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    command = [sys.executable, "-c", WRITE_BEYOND_LIMIT, str(tmp_path / "a")]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "File too large" in output
    assert lines(tmp_path / "a") == [b"first\n", b"third\n"]


WRITE_MANY = """
import json, sys
from pathlib import Path
from pacs_audit_json.rotating import RotatingFile

file = RotatingFile(Path(sys.argv[1]), max_bytes=2_000, backups=0, fsync=False)
file.open()
sys.stdin.readline()
for number in range(0, 600, 3):
    rows = [{"process": sys.argv[2], "number": number + n, "pad": "x" * 50} for n in range(3)]
    file.write([json.dumps(row).encode() + b"\\n" for row in rows])
file.close()
"""


def test_processes_that_share_a_file_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a"
    children = [
        subprocess.Popen(
            [sys.executable, "-c", WRITE_MANY, str(path), name], stdin=subprocess.PIPE, text=True
        )
        for name in "XYZ"
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        child.communicate()
        assert child.returncode == 0
    records = [json.loads(text) for text in lines(path)]
    for name in "XYZ":
        assert [row["number"] for row in records if row["process"] == name] == list(range(600))
    assert max(file.stat().st_size for file in tmp_path.iterdir()) <= 2_000
