"""Codec worker processes end with their node, however that ends."""

import os
import signal
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from pacs_core.association import Proposal, connect
from pacs_core.dataset import read_file_meta
from pacs_core.testing.waiting import until

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc"),
]

CT = Path(get_testdata_file("CT_small.dcm")).read_bytes()
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
