"""Deflated instances that inflate a thousandfold: memory stays bounded, and the node serves on.

The peak is that of the process, as the operating system counts it (VmHWM).
"""

import re
import struct
import zlib
from pathlib import Path

import anyio
import pytest

from pacs_core.association import Proposal, connect
from pacs_core.dataset import encode_attributes, tag_of, transfer_syntax_uid
from pacs_core.testing.transfers import retrieve, store_dataset

pytestmark = [pytest.mark.anyio, pytest.mark.true_start]

CT = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"
EXPLICIT, IMPLICIT, DEFLATED, RLE = map(
    transfer_syntax_uid, ("explicit", "implicit", "deflated", "RLE")
)
MEBIBYTE = 1 << 20
STUDY = "1.2.826.0.1.5"
BOUND = 120 * MEBIBYTE
"""What four of them may take together beyond what the node had: 16 MiB each may wait to be sent."""


def header(uid):
    values = {
        "SOPClassUID": CT,
        "SOPInstanceUID": uid,
        "StudyInstanceUID": STUDY,
        "SeriesInstanceUID": STUDY + ".1",
    }
    return encode_attributes({tag_of(k): (v,) for k, v in values.items()}, EXPLICIT)


def bomb(uid, size, *, tag=0x7FE0_0010):
    """Deflate an instance with `size` MiB of zeros in one value."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    zeros = bytes(MEBIBYTE)
    parts = [packer.compress(header(uid))]
    head = struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, b"OB", 0, size * MEBIBYTE)
    parts.append(packer.compress(head))
    parts += [packer.compress(zeros) for _ in range(size)]
    packed = b"".join([*parts, packer.flush()])
    return packed + b"\0" * (len(packed) % 2)


def memory(node, what):
    status = Path(f"/proc/{node.process.pid}/status").read_text()
    return int(re.search(rf"{what}:\s+(\d+) kB", status)[1]) * 1024


def forget_peak(node):
    Path(f"/proc/{node.process.pid}/clear_refs").write_text("5")
    return memory(node, "VmRSS")


async def store(node, uid, data):
    return await store_dataset(node.peer, CT, uid, data, DEFLATED)


async def retrieve_size(node, uid, syntax):
    """Retrieve an instance; return the final status and how many bytes came."""
    sizes = []
    keys = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": STUDY + ".1", "SOPInstanceUID": uid}
    last = await retrieve(node.peer, keys, CT, lambda _, chunk: sizes.append(len(chunk)), syntax)
    return last.status, sum(sizes)


async def echo_until(node, done):
    """Ask for echoes while others work; return how many were answered."""
    count = 0
    async with connect(node.peer, [Proposal(VERIFICATION, (IMPLICIT,))]) as association:
        while not done.is_set():
            assert (await association.c_echo()).status == 0x0000
            count += 1
    return count


async def four_times(function, *arguments):
    results = []

    async def one(number):
        results.append(await function(number, *arguments))

    async with anyio.create_task_group() as tasks:
        for number in range(4):
            tasks.start_soon(one, number)
    return results


async def test_a_bomb_is_refused_in_bounded_memory(pacs_process):
    """What would inflate to more than 250 times its size, beyond 256 MiB."""
    node = pacs_process()
    await store(node, "1.2.3.9", bomb("1.2.3.9", 1))
    before = forget_peak(node)
    data = bomb("1.2.3.1", 300)
    assert len(data) < 320_000
    response = await store(node, "1.2.3.1", data)
    assert hex(response.status) == "0xc000"
    assert "over 250 times its size" in response.error_comment
    assert memory(node, "VmHWM") - before < BOUND
    assert not [p for p in node.data_directory.rglob("*.dcm") if p.stat().st_size > 100_000]


@pytest.mark.parametrize("tag", [0x7FE0_0010, 0x0042_0011], ids=["pixels", "document"])
async def test_what_is_kept_is_inflated_in_bounded_memory(pacs_process, tag):
    """64 MiB of zeros are legal; four peers get them inflated at once."""
    node = pacs_process()
    for number in range(4):
        uid = f"1.2.3.{number}"
        assert (await store(node, uid, bomb(uid, 64, tag=tag))).status == 0x0000
    before = forget_peak(node)
    results = await four_times(lambda n: retrieve_size(node, f"1.2.3.{n}", EXPLICIT))
    assert {status for status, _ in results} == {0x0000}
    assert all(size > 64 * MEBIBYTE for _, size in results)
    assert memory(node, "VmHWM") - before < BOUND


async def test_others_are_served_meanwhile(pacs_process):
    node = pacs_process()
    done = anyio.Event()
    answered = []

    async def ask():
        answered.append(await echo_until(node, done))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        assert (await store(node, "1.2.3.1", bomb("1.2.3.1", 64))).status == 0x0000
        await retrieve_size(node, "1.2.3.1", IMPLICIT)
        done.set()
    assert answered[0] > 16  # of 64 MiB, others get their turn at least every 4


async def test_a_header_that_inflates_is_refused_in_bounded_memory(pacs_process):
    """An image whose header is a bomb cannot be compressed, but leaves as it came.

    One has room for its header at a time, of a budget of 192 MiB for that.
    """
    node = pacs_process({"network": {"memory_budget": 192 * MEBIBYTE}})
    for number in range(4):
        uid = f"1.2.3.{number}"
        packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        private = struct.pack("<HH2sHI", 0x0021, 0x1001, b"OB", 0, 100 * MEBIBYTE)
        parts = [packer.compress(header(uid) + private)]
        parts += [packer.compress(bytes(MEBIBYTE)) for _ in range(100)]
        pixels = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, 4) + b"abcd"
        data = b"".join([*parts, packer.compress(pixels), packer.flush()])
        data += b"\0" * (len(data) % 2)
        assert (await store(node, uid, data)).status == 0x0000
    before = forget_peak(node)
    results = await four_times(lambda n: retrieve_size(node, f"1.2.3.{n}", RLE))
    assert {status for status, _ in results} <= {0xA702, 0xB000}
    assert memory(node, "VmHWM") - before < 2 * BOUND
    assert (await retrieve_size(node, "1.2.3.1", EXPLICIT))[0] == 0x0000
