"""An index that is missing, half built, damaged, or replaced: nobody is told that all is well.

The peers' reports that are tried here: Orthanc servers that began anew with an empty database
beside a full storage area, and answered queries with success.
"""

import fcntl
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, redirect_stderr, redirect_stdout
from io import StringIO

import anyio
import pytest
from pydicom.data import get_testdata_file

from pacs_core import connect
from pacs_core.association import Proposal
from pacs_core.cli.main import main
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN as EXPLICIT, encode_attributes, tag_of
from pacs_core.testing.node import node_thread, write_config
from pacs_core.testing.waiting import until

pytestmark = [pytest.mark.anyio]

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
STUDY_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_GET = "1.2.840.10008.5.1.4.1.2.2.3"
CONTEXTS = [
    Proposal(CT_IMAGE, (EXPLICIT,), scu=True, scp=True),
    Proposal(STUDY_FIND, (EXPLICIT,)),
    Proposal(STUDY_GET, (EXPLICIT,)),
]
STUDY = "1.2.826.0.8"
INDEX_FILES = ("index.sqlite", "index.sqlite-wal", "index.sqlite-shm")


def attributes(values):
    return {tag_of(name): (text,) if text else () for name, text in values.items()}


def dataset(uid):
    values = {
        "SOPClassUID": CT_IMAGE,
        "SOPInstanceUID": uid,
        "StudyInstanceUID": STUDY,
        "SeriesInstanceUID": f"{STUDY}.1",
        "PatientID": "LOST",
    }
    return encode_attributes(attributes(values), EXPLICIT)


async def store(peer, *uids):
    """Store instances; return the statuses."""
    async with connect(peer, CONTEXTS) as association:
        return [(await association.c_store(CT_IMAGE, uid, dataset(uid))).status for uid in uids]


async def find(peer):
    """Return the UIDs of all instances of the study, and the final response."""
    keys = {
        "QueryRetrieveLevel": "IMAGE",
        "StudyInstanceUID": STUDY,
        "SeriesInstanceUID": f"{STUDY}.1",
        "SOPInstanceUID": "",
    }
    async with connect(peer, CONTEXTS) as association:
        found = association.c_find(STUDY_FIND, attributes(keys))
        *matches, (final, _) = [response async for response in found]
        return {match[tag_of("SOPInstanceUID")][0] for _, match in matches}, final


async def all_find(peer):
    found, final = await find(peer)
    assert final.status == 0x0000
    return found


def pacs(directory, *command):
    """Run a command in this process, in a thread that may have an event loop of its own."""
    output, errors = StringIO(), StringIO()
    with redirect_stdout(output), redirect_stderr(errors), ThreadPoolExecutor(1) as pool:
        code = pool.submit(main, [*command, "--data", str(directory)]).result()
    return subprocess.CompletedProcess(command, code, output.getvalue(), errors.getvalue())


def delete_index(directory, names=INDEX_FILES):
    for name in names:
        (directory / name).unlink(missing_ok=True)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A data directory with three instances."""
    directory = tmp_path_factory.mktemp("stored")
    with node_thread(directory) as node:
        assert anyio.run(store, node.peer, "1.8.1", "1.8.2", "1.8.3") == [0, 0, 0]
    return directory


@pytest.fixture
def lost(stored, tmp_path):
    """A data directory with three instances, and without an index."""
    directory = tmp_path / "lost"
    shutil.copytree(stored, directory, ignore=shutil.ignore_patterns("control"))
    delete_index(directory)
    return directory


def serve(directory, tables=None):
    """Run `pacs serve`, which is to end by itself."""
    config = write_config(directory, tables or {})
    return subprocess.run(
        [sys.executable, "-m", "pacs_core.cli.main", "serve", "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("workers", "empty_file"),
    [
        (1, False),
        (2, True),
        pytest.param(1, True, marks=pytest.mark.long),
        pytest.param(2, False, marks=pytest.mark.long),
    ],
)
def test_a_node_without_its_index_refuses_and_names_the_command(lost, workers, empty_file):
    if empty_file:
        (lost / "index.sqlite").touch()
    for _ in range(2):  # the index that the first start made does not fool the second
        refused = serve(lost, {"node": {"workers": workers}})
        assert refused.returncode == 1
        assert not refused.stdout
        assert "pacs index rebuild" in refused.stderr


async def test_a_kill_before_the_first_row_of_all_costs_nothing(stored, tmp_path):
    """The object is there, and was acknowledged to nobody: its sender comes again."""
    directory = tmp_path / "new"
    with node_thread(directory):
        pass
    shutil.copytree(stored / "objects", directory / "objects", dirs_exist_ok=True)
    with node_thread(directory) as node:
        assert await all_find(node.peer) == set()
        assert await store(node.peer, "1.8.1") == [0x0000]
        assert await all_find(node.peer) == {"1.8.1"}


def test_what_comes_later_does_not_make_the_index_look_whole(lost, tmp_path):
    file = tmp_path / "later.dcm"
    shutil.copy(get_testdata_file("CT_small.dcm"), file)
    assert pacs(lost, "import", str(file)).returncode == 0
    assert "pacs index rebuild" in serve(lost).stderr
    verified = pacs(lost, "index", "verify")
    assert verified.returncode == 1
    assert "gap  index" in verified.stdout


def test_after_a_rebuild_it_serves_again(lost, pacs_process):
    assert serve(lost).returncode == 1
    assert pacs(lost, "index", "rebuild").returncode == 0
    node = pacs_process(data_directory=lost)
    assert anyio.run(all_find, node.peer) == {"1.8.1", "1.8.2", "1.8.3"}
    assert pacs(lost, "index", "verify").stdout == "0 faults, 0 set aside\n"


def test_a_degraded_node_says_so_in_every_answer(lost, pacs_process):
    """PS3.4 C.4.1.1.4 has no warning that ends a C-FIND: a failure does, after all matches."""
    node = pacs_process({"archive": {"incomplete_index": "serve"}}, data_directory=lost)
    assert anyio.run(store, node.peer, "1.8.4") == [0]
    found, final = anyio.run(find, node.peer)
    assert found == {"1.8.4"}
    assert (final.status, final.error_comment) == (
        0xC000,
        "Incomplete: the archive's index has a gap",
    )
    assert anyio.run(get_status, node.peer) == 0xB000
    audit = lost / "audit" / "audit.jsonl"
    until(lambda: "the index may lack instances" in audit.read_text())
    assert pacs(lost, "index", "rebuild").returncode == 0
    assert len(anyio.run(all_find, node.peer)) == 4
    assert anyio.run(get_status, node.peer) == 0x0000


async def get_status(peer):
    async def take(received):
        await received.dataset.discard()
        return 0x0000

    keys = attributes({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": STUDY})
    async with connect(peer, CONTEXTS) as association:
        found = association.c_get(STUDY_GET, keys, take)
        *_, (final, _) = [response async for response in found]
        return final.status


def test_a_new_empty_index_beside_an_empty_store_is_whole(pacs_process, tmp_path):
    node = pacs_process(data_directory=tmp_path)
    assert anyio.run(all_find, node.peer) == set()


async def test_a_rebuild_of_a_node_at_work_loses_nothing(pacs_process, tmp_path):
    """What is stored, replaced and deleted while the index is built is in the new one."""
    node = pacs_process({"node": {"workers": 2}}, data_directory=tmp_path)
    acknowledged = {f"1.9.{n}" for n in range(300)}
    assert set(await store(node.peer, *sorted(acknowledged))) == {0}
    inode = os.stat(tmp_path / "index.sqlite").st_ino
    process = await anyio.open_process(
        [sys.executable, "-m", "pacs_core.cli.main", "index", "rebuild", "--data", str(tmp_path)]
    )
    number = 300
    while process.returncode is None:
        uids = [f"1.9.{number + n}" for n in range(5)]
        assert set(await store(node.peer, *uids)) == {0}
        acknowledged |= set(uids)
        assert await all_find(node.peer) == acknowledged
        number += 5
    assert process.returncode == 0
    assert os.stat(tmp_path / "index.sqlite").st_ino != inode
    assert await all_find(node.peer) == acknowledged
    assert await store(node.peer, "1.9.0.1") == [0]
    assert await all_find(node.peer) == acknowledged | {"1.9.0.1"}
    assert number > 300
    verified = pacs(tmp_path, "index", "verify")
    assert verified.stdout == "0 faults, 0 set aside\n"


async def test_a_rebuild_that_is_killed_changes_nothing(pacs_process, tmp_path):
    node = pacs_process(data_directory=tmp_path)
    everything = {f"1.10.{n}" for n in range(400)}
    assert set(await store(node.peer, *sorted(everything))) == {0}
    kill_while_it_builds(tmp_path)
    assert leftovers(tmp_path)
    assert await all_find(node.peer) == everything
    assert node.stop() == 0
    again = pacs_process(data_directory=tmp_path)
    assert await all_find(again.peer) == everything
    assert not leftovers(tmp_path)
    assert pacs(tmp_path, "index", "rebuild").returncode == 0
    assert await all_find(again.peer) == everything


def kill_while_it_builds(directory):
    for _ in range(5):  # it may be done before this process gets a processor to see it
        process = subprocess.Popen(
            [sys.executable, "-m", "pacs_core.cli.main", "index", "rebuild",
             "--data", str(directory)]
        )  # fmt: skip
        while process.poll() is None and not leftovers(directory):
            pass
        process.kill()
        if process.wait() == -signal.SIGKILL:
            return
    pytest.fail("each rebuild was done before it could be killed")


def leftovers(directory):
    """Return the files of indexes that are built, or were not finished."""
    used = os.path.basename(os.path.realpath(directory / "index.sqlite"))
    names = (path.name for path in directory.glob("index.sqlite.????????*"))
    return [name for name in names if name[: len("index.sqlite.") + 8] != used]


@pytest.mark.parametrize("names", [INDEX_FILES, ("index.sqlite-wal",), ("index.sqlite-shm",)])
async def test_files_that_are_deleted_under_a_running_node_are_noticed(
    pacs_process, tmp_path, names
):
    node = pacs_process(data_directory=tmp_path)
    assert await store(node.peer, "1.11.1") == [0]
    delete_index(tmp_path, names)
    (status,) = await store(node.peer, "1.11.2")
    assert status >> 12 in (0xA, 0xC) or status == 0x0110
    found, final = await find(node.peer)
    assert final.status not in (0x0000, 0xB000)
    assert not found
    assert "pacs index rebuild" in node.log.read_text()
    assert pacs(tmp_path, "index", "rebuild").returncode == 0
    assert "1.11.1" in await all_find(node.peer)
    assert await store(node.peer, "1.11.2") == [0]
    assert {"1.11.1", "1.11.2"} <= await all_find(node.peer)


async def test_an_index_that_is_replaced_by_an_empty_one_is_noticed(pacs_process, tmp_path):
    node = pacs_process(data_directory=tmp_path)
    assert await store(node.peer, "1.12.1") == [0]
    delete_index(tmp_path)
    (tmp_path / "index.sqlite").touch()
    assert await store(node.peer, "1.12.2") == [0]
    found, final = await find(node.peer)
    assert (found, final.status) == ({"1.12.2"}, 0xC000)


def damage(directory):
    """Overwrite every page after the first; what was in the log is in the file by then."""
    path = directory / "index.sqlite"
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))


def test_damage_is_named_and_mended(pacs_process, tmp_path):
    node = pacs_process(data_directory=tmp_path)
    uids = {f"1.13.{n}" for n in range(50)}
    assert set(anyio.run(store, node.peer, *sorted(uids))) == {0}
    assert node.stop() == 0
    damage(tmp_path)
    for command in ("verify", "rebuild"):
        result = pacs(tmp_path, "index", command)
        assert "is damaged (database disk image is malformed)" in result.stderr + result.stdout
        assert (result.returncode == 0) is (command == "rebuild")
    again = pacs_process(data_directory=tmp_path)
    assert anyio.run(all_find, again.peer) == uids


def test_damage_that_no_start_comes_across_is_named(pacs_process, tmp_path):
    node = pacs_process(data_directory=tmp_path)
    assert set(anyio.run(store, node.peer, "1.14.1", "1.14.2")) == {0}
    assert node.stop() == 0
    with closing(sqlite3.connect(tmp_path / "index.sqlite")) as index:
        index.execute("PRAGMA writable_schema = ON")
        index.execute("DELETE FROM instance WHERE 0")
        index.execute("PRAGMA foreign_keys = OFF")
        index.execute("DELETE FROM series")
        index.commit()
    verified = pacs(tmp_path, "index", "verify")
    assert verified.returncode == 1
    assert "damage  index" in verified.stdout
    assert "belong to no series" in verified.stdout


def test_two_rebuilds_at_once_are_one_too_many(lost):
    with open(lost / "index.sqlite.rebuild", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused = pacs(lost, "index", "rebuild")
    assert refused.returncode == 1
    assert "another process builds the index" in refused.stderr
