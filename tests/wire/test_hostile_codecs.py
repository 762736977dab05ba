"""Codecs that crash, hang and eat, and bombs: one sub-operation each, and the node serves on."""

import re
import sys
import zlib
from contextlib import contextmanager
from pathlib import Path

import pytest
from importlib_metadata import EntryPoint

from pacs_core.association import Proposal, connect
from pacs_core.contracts import Level, Query
from pacs_core.dataset import tag_of, texts
from pacs_core.plugins import ENTRY_POINT_GROUP
from pacs_core.testing.node import node_process, node_thread, usual_plugins

pytestmark = pytest.mark.anyio

CT, STUDY_MOVE = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.2.2.2"
EXPLICIT, UNCOMPRESSED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.98"
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
NO_WAITING = {"archive": {"durability": "none"}}
MEBIBYTE = 1 << 20


@pytest.fixture
def pixel_studies(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent / "modules")
    import pixel_studies

    return pixel_studies


@contextmanager
def world(folder, limits):
    """Run a node that decodes with the obedient codec, and one that takes only native pixels."""
    target = {"port": 0, "data_directory": str(folder / "target"), "ae_title": "TARGET"}
    native = {"sop-storage": {"transfer_syntaxes": [EXPLICIT]}}
    point = EntryPoint("obedient", "misbehaving_codecs", ENTRY_POINT_GROUP)
    manager = usual_plugins(point)
    tables = {"node": target, "plugin": native, **NO_WAITING}
    with node_thread(folder / "target", tables) as destination:
        peer = {"ae_title": "TARGET", "host": "127.0.0.1", "port": destination.port}
        chosen = {UNCOMPRESSED: "obedient"}
        tables = {
            "peers": {"target": peer},
            "transcoding": {"codecs": chosen, "limits": limits},
            **NO_WAITING,
        }
        with node_thread(folder / "source", tables, manager) as source:
            yield source, destination


async def move(source, study):
    identifier = {tag_of("QueryRetrieveLevel"): ("STUDY",), tag_of("StudyInstanceUID"): (study,)}
    async with connect(source.peer, [Proposal(STUDY_MOVE, (EXPLICIT,))]) as association:
        responses = [r async for r in association.c_move(STUDY_MOVE, identifier, "TARGET")]
    final, failed = responses[-1]
    return final, set(texts(failed or {}, tag_of("FailedSOPInstanceUIDList")))


def stored_uids(node):
    async def read():
        archive = node.node.opened.archive
        return {i.identity.sop_instance_uid async for i in archive.instances(Query(Level.IMAGE))}

    return node.call(read)


FAULTS = {
    "crash": ({}, "SIGSEGV"),
    "hang": ({"timeout": 8.0}, "more than 8 s"),
    "spin": ({"cpu_time": 1.0}, "more than 1 s of processor time"),
    "eat": ({}, "MiB of memory"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_codec_that_misbehaves_costs_one_sub_operation(
    pixel_studies, tmp_path, caplog, fault
):
    """PS3.4 C.4.2.1.4.2: the UIDs of what failed are listed, and all others were sent."""

    def command(pixels, noise):
        (frame,) = pixels.frames[1]
        pixels.frames[1] = [fault.encode().ljust(len(frame), b"\0")]

    limits, message = FAULTS[fault]
    with world(tmp_path, {"workers": 2, **limits}) as (source, target):
        transcoder = source.node.opened.node.transcoder
        study = pixel_studies.Study(source, UNCOMPRESSED, 1)
        damages = [None, command, None, None]
        uids = [study.add(str(number), damage) for number, damage in enumerate(damages)]
        await study.store(source)
        final, failed = await move(source, study.uid)
        assert failed == {uids[1]}
        assert stored_uids(target) == {*uids} - failed
        assert (final.status, final.number_of_failed_suboperations) == (0xB000, 1)
        assert final.error_comment.startswith("frame 2: the codec")
        logged = [r.getMessage() for r in caplog.records if uids[1] in r.getMessage()]
        assert any(message in line and "frame 2" in line for line in logged)
        processes = transcoder.workers.pids
        assert 1 <= len(processes) <= 2
    assert all(is_gone(pid) for pid in processes)


def is_gone(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2][0]
    except OSError:
        return True
    return state == "Z"


def zeros(mebibytes):
    """Return so many zeros as a deflate stream, of which a thousandth is left."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = packer.compress(bytes(MEBIBYTE)) + packer.flush(zlib.Z_FULL_FLUSH)
    return block * mebibytes + packer.flush()


def peak(node):
    """Return the most memory that a node process ever had, in bytes."""
    status = Path(f"/proc/{node.process.pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="/proc says how much memory a process took")
async def test_bombs_cost_the_node_no_memory(pixel_studies, tmp_path):
    """What was not announced, or is too much for a worker, fails; the rest streams."""
    large = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
    bombs = {
        "a GB that was not announced": (zeros(1024), {}),
        "a frame of 320 MB": (zeros(320), large | {"Rows": 20 << 10, "Columns": 16 << 10}),
        "frames of 16 MB": (
            zeros(16),
            large | {"Rows": 4096, "Columns": 4096, "NumberOfFrames": 12},
        ),
    }
    with node_thread(tmp_path / "codecs") as codecs:
        study = pixel_studies.Study(codecs, DEFLATED_FRAMES, 1)
    good = study.add("good")

    def bomb(codestream, attributes):
        def damage(pixels, noise):
            pixels.frames = [[codestream]] * attributes.get("NumberOfFrames", 3)
            pixels.attributes = attributes

        return damage

    for name, (codestream, attributes) in bombs.items():
        study.add(name, bomb(codestream, attributes))
    tables = {"transcoding": {"limits": {"memory": 320 * MEBIBYTE}}, **NO_WAITING}
    with node_process(tmp_path / "node", tables) as node:
        await study.send(node)
        before = peak(node)
        received, failed = await study.get(node, most=MEBIBYTE)
        assert peak(node) - before < 160 * MEBIBYTE
        assert node.stop() == 0
    assert study.pixels(received[good]) == b"".join(study.native)
    assert [study.names[uid] for uid in sorted(failed)] == list(bombs)[:2]
