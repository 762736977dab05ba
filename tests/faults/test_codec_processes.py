"""Codec worker processes end with their node, however that ends, and may be killed themselves."""

import os
import signal
from pathlib import Path

import anyio
import pytest
from importlib_metadata import EntryPoint
from pydicom.data import get_testdata_file

from pacs_core.association import Proposal, connect
from pacs_core.contracts import Level, Query
from pacs_core.dataset import read_file_meta
from pacs_core.plugins import ENTRY_POINT_GROUP
from pacs_core.testing.node import node_thread, usual_plugins
from pacs_core.testing.waiting import until

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc"),
]

CT = Path(get_testdata_file("CT_small.dcm")).read_bytes()
EXPLICIT, RLE = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5"
COMPRESSING = {"plugin": {"sop-storage": {"compress": "RLE"}}}


async def store(peer):
    meta = read_file_meta(CT)
    proposals = [Proposal(meta.sop_class_uid, (meta.transfer_syntax_uid,))]
    async with connect(peer, proposals) as association:
        response = await association.c_store(
            meta.sop_class_uid, meta.sop_instance_uid, CT[meta.dataset_offset :]
        )
    assert response.status == 0


def children(pid):
    tasks = Path(f"/proc/{pid}/task")
    found = {int(child) for task in tasks.iterdir() for child in words(task / "children")}
    return found | {each for child in found for each in children(child)}


def words(path):
    return path.read_text().split()


def runs(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # a zombie is for its new parent to bury


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
async def test_none_outlives_the_node(pacs_process, number, workers):
    node = pacs_process({**COMPRESSING, "node": {"workers": workers}})
    await store(node.peer)
    below = children(node.process.pid)
    codecs = {pid for pid in below if b"pacs_core.transcoding" in command(pid)}
    assert codecs
    os.kill(node.process.pid, number)
    until(lambda: not any(runs(pid) for pid in below))


def command(pid):
    return Path(f"/proc/{pid}/cmdline").read_bytes()


SLOW = """
import os, time
from pacs_codec_basic.run_length import RunLengthCodec
from pacs_core.contracts import CodecDescriptor
from pacs_core.plugins import hookimpl

class Slow(RunLengthCodec):
    def encode(self, data, frame, options):
        with open("{pids}", "a") as pids:
            print(os.getpid(), file=pids)
        time.sleep(1.5)
        return super().encode(data, frame, options)

@hookimpl
def pacs_codecs():
    return [CodecDescriptor("slow", frozenset(), frozenset({{"1.2.840.10008.1.2.5"}}), Slow)]
"""


@pytest.fixture
def slow_codec(tmp_path, monkeypatch):
    """The plugins, and one whose codec says in which process it is; return where."""
    pids = tmp_path / "pids"
    pids.touch()
    (tmp_path / "slow_codec.py").write_text(SLOW.format(pids=pids))
    monkeypatch.syspath_prepend(tmp_path)
    point = EntryPoint("slow", "slow_codec", ENTRY_POINT_GROUP)
    return usual_plugins(point), pids


@pytest.mark.parametrize(
    ("kills", "kept"), [(1, "1.2.840.10008.1.2.5"), (2, "1.2.840.10008.1.2.1")]
)
async def test_a_frame_whose_process_is_killed_is_tried_once_more(
    tmp_path, slow_codec, caplog, kills, kept
):
    """As the system kills where memory is short; the second time it is stored as it came."""
    manager, pids = slow_codec
    limits = {"confine": False}  # it notes in a file in which process it is
    tables = {**COMPRESSING, "transcoding": {"codecs": {"RLE": "slow"}, "limits": limits}}

    async def kill():
        for number in range(kills):
            while pids.read_text().count("\n") <= number:  # noqa: ASYNC110
                await anyio.sleep(0.02)
            os.kill(int(words(pids)[number]), signal.SIGKILL)

    async def syntaxes(archive):
        return [each.transfer_syntax_uid async for each in archive.instances(Query(Level.IMAGE))]

    with node_thread(tmp_path / "node", tables, manager) as node, anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(kill)
            await store(node.peer)
        assert node.call(syntaxes, node.node.opened.archive) == [kept]
    assert len({*words(pids)}) == 2
    assert caplog.text.count("its job is tried once more") == 1
    assert ("is stored as it came" in caplog.text) is (kills == 2)
