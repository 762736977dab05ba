"""Who may read what the node keeps, what it may not write, and how many files it may open."""

import re
import resource
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from pacs_core import connect
from pacs_core.association import Proposal
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN as EXPLICIT, encode_attributes, tag_of
from pacs_core.testing.node import write_config
from pacs_core.testing.waiting import until

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
NOBODY = 65534


async def store(peer, count=1, study="1.2.826.0.10"):
    """Store instances, each in a series of its own."""
    statuses = set()
    async with connect(peer, [Proposal(CT_IMAGE, (EXPLICIT,))]) as association:
        for number in range(count):
            uid = f"{study}.2.{number}"
            values = {
                "SOPClassUID": CT_IMAGE,
                "SOPInstanceUID": uid,
                "StudyInstanceUID": study,
                "SeriesInstanceUID": f"{study}.1.{number}",
                "PatientID": "FILES",
            }
            attributes = {tag_of(name): (text,) for name, text in values.items()}
            dataset = encode_attributes(attributes, EXPLICIT)
            statuses.add((await association.c_store(CT_IMAGE, uid, dataset)).status)
    return statuses


def modes(directory):
    """Return the modes of what the node has made below a directory."""
    found = {"files": set(), "directories": {stat.S_IMODE(directory.stat().st_mode)}}
    for path in directory.rglob("*"):
        if path.is_symlink() or path.name in ("pacs.toml", "stderr.log"):
            continue
        if "control" in path.relative_to(directory).parts or path.name == "audit.key":
            assert not stat.S_IMODE(path.stat().st_mode) & 0o077  # its owner's, whatever is set
            continue
        kind = "directories" if path.is_dir() else "files"
        found[kind].add(stat.S_IMODE(path.stat().st_mode))
    return found


@pytest.mark.parametrize(
    ("mode", "files", "directories"), [(None, 0o600, 0o700), ("0640", 0o640, 0o750)]
)
def test_files_are_nobody_elses_business(pacs_process, tmp_path, mode, files, directories):
    data = tmp_path / "data"
    (data / "audit").mkdir(parents=True)
    for existing in (data, data / "audit"):
        existing.chmod(0o755)
    tables = {"node": {"file_mode": mode}} if mode else {}
    # Where the mode is set, there is a journal as well, which makes files of its own.
    archive = {"space": {"reserve": 1024}, "journal": mode is not None}
    node = pacs_process(tables | {"archive": archive}, data_directory=data)
    assert anyio.run(store, node.peer) == {0x0000}
    until(lambda: (data / ".reserve").exists())
    command = [sys.executable, "-m", "pacs_core.cli.main", "index", "rebuild", "--config"]
    rebuilt = subprocess.run([*command, str(data / "pacs.toml")], check=False)
    assert rebuilt.returncode == 0
    assert anyio.run(store, node.peer, 1, "1.2.826.0.11") == {0x0000}
    assert bool(list(data.glob("**/journal-0/segment-0"))) == (mode is not None)
    assert modes(data) == {"files": {files}, "directories": {directories}}


@pytest.fixture
def read_only(tmp_path):
    """Mount a directory over itself so that nobody can write there, root included."""
    mounted = []

    def mount(directory):
        for options in (["--bind"], ["-o", "remount,bind,ro"]):
            command = ["mount", *options, str(directory), str(directory)]
            if shutil.which("mount") is None or subprocess.run(command).returncode:
                pytest.skip("nothing can be mounted here")
            mounted.append(directory)

    yield mount
    if mounted:
        subprocess.run(["umount", "--lazy", str(mounted[0])], check=True)


def serve(config, **options):
    return subprocess.run(
        [sys.executable, "-m", "pacs_core.cli.main", "serve", "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


def test_a_store_that_cannot_be_written_is_found_before_ready(pacs_process, tmp_path, read_only):
    root = tmp_path / "root"
    tables = {"plugin": {"store-filesystem": {"root": str(root)}}}
    node = pacs_process(tables)
    assert anyio.run(store, node.peer) == {0x0000}
    assert node.stop() == 0
    read_only(root)
    refused = serve(node.data_directory / "pacs.toml")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "it must be a directory that the node may write" in refused.stderr


def test_an_index_that_cannot_be_written_is_found_before_ready(pacs_process, tmp_path, read_only):
    folder = tmp_path / "index"
    tables = {"plugin": {"index-sqlite": {"path": str(folder / "index.sqlite")}}}
    node = pacs_process(tables)
    assert anyio.run(store, node.peer) == {0x0000}
    assert node.stop() == 0
    read_only(folder)
    refused = serve(node.data_directory / "pacs.toml")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert re.search(r"index\.sqlite \(.*\): check .*-wal and -shm", refused.stderr)


def limited(soft, hard):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_limit_of_open_files_is_raised_and_judged(tmp_path):
    config = write_config(tmp_path, {})
    process = subprocess.Popen(
        [sys.executable, "-m", "pacs_core.cli.main", "serve", "--config", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limited(100, 600),
    )
    try:
        assert process.stdout.readline().startswith("ready: ")
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        assert re.search(r"Max open files\s+600\s+600", limits)
    finally:
        process.terminate()
        _, log = process.communicate(timeout=30)
    assert "may have 600 files open" in log
    assert "LimitNOFILE" in log


def test_directories_that_are_kept_open_make_room_for_others(tmp_path):
    """EMFILE while objects are written: what is open for speed alone is given up."""
    program = """
import os, resource, sys
from pathlib import Path
import anyio
from pacs_core.testing.object_store_harness import identity, put
from pacs_store_filesystem.store import FilesystemStore

async def main():
    store = FilesystemStore(Path(sys.argv[1]))
    await store.start()
    keys = [(await put(store, b"x", identity(n))).key for n in range(100)]
    used = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used, used))
    keys += [(await put(store, b"y", identity(n))).key for n in range(100, 140)]
    for key in keys:
        async with await store.open(key) as reader:
            assert await reader.read(0, 1)
    print(len(keys))
    await store.stop()

anyio.run(main)
"""
    result = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert result.stdout == "140\n", result.stderr
