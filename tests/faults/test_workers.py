"""A node of several workers: one port, one archive, one limit; and workers may die."""

import os
import re
import signal
import sqlite3
from collections import Counter
from contextlib import AsyncExitStack, closing

import anyio
import pytest

from pacs_core import connect
from pacs_core.association import AssociationRefusedError, Proposal
from pacs_core.contracts import Durability, Timeouts
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN as EXPLICIT, encode_attributes, tag_of
from pacs_core.testing.peer_programs import find_free_port
from pacs_core.testing.waiting import until

pytestmark = pytest.mark.anyio

ECHO = [Proposal("1.2.840.10008.1.1")]
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
EACH = 60  # instances from each sender
TWO = {"node": {"workers": 2}}
STOW = """\
POST /dicom-web/studies HTTP/1.1
Host: 127.0.0.1:{port}
Content-Type: multipart/related; type="application/dicom"; boundary=x
Content-Length: 1000
Expect: 100-continue

"""


def workers_of(node):
    children = f"/proc/{node.process.pid}/task/{node.process.pid}/children"
    with open(children) as file:
        return [int(pid) for pid in file.read().split()]


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def workers_that_accepted(node):
    return re.findall(r"(W\d)A\d+: accepted", node.log.read_text())


async def echo(node, times=8):
    for _ in range(times):
        async with connect(node.peer, ECHO) as association:
            assert (await association.c_echo()).status == 0x0000


async def test_a_worker_that_dies_is_replaced_and_audited(pacs_process):
    node = pacs_process(TWO)
    before = workers_of(node)
    assert len(before) == 2
    os.kill(before[0], signal.SIGKILL)
    await echo(node)
    until(lambda: len(workers_of(node)) == 2 and before[0] not in workers_of(node))
    audit = node.data_directory / "audit" / "audit.jsonl"
    until(lambda: "worker-restarted" in audit.read_text())
    assert f"process {before[0]}) was killed by SIGKILL" in node.log.read_text()
    await echo(node)
    assert node.stop() == 0


async def test_a_drain_reaches_all_workers(pacs_process):
    node = pacs_process(TWO)
    pids = workers_of(node)
    assert node.stop() == 0
    assert not any(is_alive(pid) for pid in pids)


async def test_workers_do_not_outlive_their_supervisor(pacs_process):
    node = pacs_process(TWO)
    pids = workers_of(node)
    node.kill()
    until(lambda: not any(is_alive(pid) for pid in pids))


async def test_workers_without_a_supervisor_drain(pacs_process):
    """What is under way is finished and recorded, as after SIGTERM."""
    node = pacs_process(TWO)
    pids = workers_of(node)
    async with connect(node.peer, ECHO) as association:
        node.kill()
        until(lambda: node.log.read_text().count("draining") == 2)
        assert (await association.c_echo()).status == 0x0000
    until(lambda: not any(is_alive(pid) for pid in pids))
    audit = (node.data_directory / "audit" / "audit.jsonl").read_text()
    assert audit.count('"node-stopped"') == 2
    log = node.log.read_text()
    assert "internal error" not in log
    assert "dropped" not in log


async def test_a_node_without_its_supervisor_is_started_again_while_workers_drain(
    pacs_process, tmp_path
):
    """A service manager starts what was killed at once, on the same ports."""
    port, web, hl7 = find_free_port(), find_free_port(), find_free_port()
    tables = {
        "node": {"workers": 2, "port": port},
        "network": {"timeouts": {"shutdown": 100.0}},
        "plugin": {"web": {"port": web}, "hl7": {"port": hl7}, "jobs": {}},
    }
    node = pacs_process(tables, tmp_path)
    pids = workers_of(node)
    head = STOW.format(port=web).replace("\n", "\r\n").encode()
    async with (
        connect(node.peer, ECHO) as association,
        await anyio.connect_tcp("127.0.0.1", web) as client,
    ):
        await client.send(head)
        assert (await client.receive()).startswith(b"HTTP/1.1 100 ")
        node.kill()
        again = pacs_process(tables, tmp_path)
        assert any(is_alive(pid) for pid in pids)
        await echo(again)
        for each in (web, hl7):
            await (await anyio.connect_tcp("127.0.0.1", each)).aclose()
        assert (await association.c_echo()).status == 0x0000
    until(lambda: not any(is_alive(pid) for pid in pids))
    log = node.log.read_text()
    assert "cannot" not in log
    assert "it is started again" not in log


# Forked, the first worker is there sooner, and takes what the second keeps room for as it begins.
@pytest.mark.true_start
async def test_the_limit_on_associations_is_the_nodes(pacs_process):
    """PS3.8 Table 9-21: 2,3,2 local limit exceeded."""
    node = pacs_process(TWO | {"network": {"max_associations": 3}})
    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(connect(node.peer, ECHO))
        with pytest.raises(AssociationRefusedError) as refused:
            async with connect(node.peer, ECHO, timeouts=Timeouts(artim=10)):
                pass
        rejection = refused.value.rejection
        assert (rejection.result, rejection.source, rejection.reason) == (2, 3, 2)


async def test_a_worker_with_less_to_do_takes_the_next_connection(pacs_process):
    node, accepted = pacs_process(TWO), list[str]()
    while len(set(accepted)) < 2:  # a worker may still begin
        await echo(node)
        accepted = workers_that_accepted(node)
    async with AsyncExitStack() as stack:
        for _ in range(8):
            await stack.enter_async_context(connect(node.peer, ECHO))
        accepted = workers_that_accepted(node)[len(accepted) :]
    shares = Counter(accepted)
    # Had all waited for whoever is first, one of them would have got all, more often than not.
    assert len(accepted) == 8
    assert min(shares["W0"], shares["W1"]) >= 2


@pytest.mark.parametrize("durability", Durability)
@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
async def test_workers_lose_nothing_that_they_have_acknowledged(
    pacs_process, tmp_path, durability, killed
):
    """They write one index at once, each in its own way of waiting for the other."""
    tables = TWO | {"archive": {"durability": durability.value}}
    node, acknowledged = pacs_process(tables, data_directory=tmp_path), set()
    try:
        async with anyio.create_task_group() as tasks:
            for sender in range(4):
                tasks.start_soon(store, node, sender, acknowledged)
    finally:
        node.kill() if killed else node.stop()
    assert len(acknowledged) == 4 * EACH
    with closing(sqlite3.connect(tmp_path / "index.sqlite")) as index:
        indexed = {uid for (uid,) in index.execute("SELECT SOPInstanceUID FROM instance")}
    assert acknowledged == indexed
    objects = [path for path in (tmp_path / "objects").rglob("*.dcm") if path.is_file()]
    assert len(objects) == len(acknowledged)


async def store(node, sender, acknowledged):
    async with connect(node.peer, [Proposal(CT_IMAGE, (EXPLICIT,))]) as association:
        for number in range(EACH):
            uid = f"1.2.826.0.7.{sender}.{number}"
            response = await association.c_store(CT_IMAGE, uid, dataset(uid))
            assert response.status == 0x0000
            acknowledged.add(uid)


def dataset(uid):
    values = {
        "SOPClassUID": CT_IMAGE,
        "SOPInstanceUID": uid,
        "StudyInstanceUID": "1.2.826.0.7",
        "SeriesInstanceUID": uid.rpartition(".")[0],
        "PatientID": "WORKERS",
    }
    return encode_attributes({tag_of(name): (text,) for name, text in values.items()}, EXPLICIT)


async def test_a_worker_that_cannot_start_ends_the_node(pacs_process):
    with pytest.raises(RuntimeError, match="did not become ready"):
        pacs_process(TWO | {"archive": {"store": "nowhere"}})
