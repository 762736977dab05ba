"""The memory budget of a node: many large senders at once wait their turn, or get A700."""

import anyio
import pytest

from pacs_core import connect
from pacs_core.association import Proposal
from pacs_core.contracts import Level, Query, Timeouts
from pacs_core.dataset import encode_attributes, tag_of

pytestmark = pytest.mark.anyio

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
MEBIBYTE = 1024 * 1024
BUDGET = {"memory_budget": 16 * MEBIBYTE}


def header(number):
    values = {
        "SOPClassUID": CT,
        "SOPInstanceUID": f"1.2.3.{number}",
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.3.4",
        "PatientID": "P",
    }
    return encode_attributes({tag_of(k): (v,) for k, v in values.items()}, EXPLICIT)


async def dataset(number, size, pause=None):
    yield header(number)
    yield b"\xe0\x7f\x10\x00OW\x00\x00" + size.to_bytes(4, "little")
    for sent in range(0, size, MEBIBYTE):
        if pause is not None and sent == 2 * MEBIBYTE:  # the last chunk waits at the sender
            await pause.wait()
        yield bytes(min(MEBIBYTE, size - sent))


async def store(node, number, size, pause=None):
    proposals = [Proposal(CT, (EXPLICIT,))]
    async with connect(node.peer, proposals, timeouts=Timeouts(dimse=50)) as association:
        response = await association.c_store(CT, f"1.2.3.{number}", dataset(number, size, pause))
    return response.status


async def test_more_senders_than_the_budget_serves_at_once_all_finish(pacs_node):
    node = pacs_node({"network": BUDGET})
    statuses = []

    async def send(number):
        statuses.append(await store(node, number, 8 * MEBIBYTE))

    async with anyio.create_task_group() as tasks:
        for number in range(16):
            tasks.start_soon(send, number)
    assert statuses == [0x0000] * 16
    assert node.node.listener.free_memory == BUDGET["memory_budget"]


async def test_who_waits_in_vain_gets_a700_and_leaves_nothing(pacs_node):
    """PS3.4 Table B.2-1: A7xx, refused: out of resources."""
    node = pacs_node({"network": BUDGET | {"timeouts": {"memory": 0.3, "shutdown": 1.0}}})
    go_on = anyio.Event()
    statuses = {}

    async def send(number):
        statuses[number] = await store(node, number, 8 * MEBIBYTE, go_on)

    async with anyio.create_task_group() as tasks:
        for number in range(5):  # as many as 16 MiB can serve
            tasks.start_soon(send, number)
        with anyio.fail_after(60):
            while node.node.listener.free_memory > 3 * MEBIBYTE:  # noqa: ASYNC110
                await anyio.sleep(0.01)
        assert await store(node, 5, 8 * MEBIBYTE) == 0xA700
        go_on.set()
    assert set(statuses.values()) == {0x0000}

    async def stored():
        archive = node.node.opened.archive
        return {i.identity.sop_instance_uid async for i in archive.instances(Query(Level.IMAGE))}

    assert node.call(stored) == {f"1.2.3.{number}" for number in range(5)}
    assert len(list(node.data_directory.rglob("*.dcm"))) == 5
    assert node.node.listener.free_memory == BUDGET["memory_budget"]
