"""Ingest filters that fail in every way, and a node that is killed while they judge, over the wire.

Whatever a filter does, the sender is answered, nothing that it has spoilt is stored, and the node
goes on.
"""

import json
import random
import subprocess
import sys
from io import BytesIO
from itertools import count

import anyio
import pytest
from pydicom import dcmread

from pacs_core import connect
from pacs_core.association import AssociationError, Proposal
from pacs_core.contracts import Peer
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, encode_attributes, tag_of
from pacs_core.testing.killable_node import cradle
from pacs_core.testing.node import node_process
from pacs_core.testing.transfers import retrieve, store_dataset
from pacs_core.testing.waiting import until

CT = "1.2.840.10008.5.1.4.1.1.2"
MOODY = """
    import asyncio
    from anyio import sleep, sleep_forever
    from pacs_core.dataset import tag_of

    WAYS = {
        "NO STUDY": {"StudyInstanceUID": None},
        "NO SERIES": {"SeriesInstanceUID": None},
        "NO INSTANCE": {"SOPInstanceUID": None},
        "NO CLASS": {"SOPClassUID": None},
        "PATH": {"SOPInstanceUID": ("../../../etc/passwd",)},
        "LONG": {"StudyInstanceUID": ("1." * 40,)},
        "TWO": {"SeriesInstanceUID": ("1.2", "1.3")},
        "PIXELS": {"PixelData": ("x",)},
        "META": {"TransferSyntaxUID": ("1.2.3",)},
        "SETS": {"SpecificCharacterSet": ("ISO_IR 100",)},
        "SEQUENCE": {"ReferencedStudySequence": ("text",)},
    }

    class Moody(IngestFilter):
        async def judge(self, header, origin):
            mood = "".join(header.texts(tag_of("PatientComments")))
            match mood:
                case "RAISE":
                    raise RuntimeError("a secret of the filter")
                case "EXIT":
                    raise SystemExit(3)
                case "CANCEL":
                    other = asyncio.ensure_future(sleep_forever())
                    other.cancel()
                    await other
                case "GROUP":
                    raise ExceptionGroup("several", [ValueError("one"), OSError("two")])
                case "HANG":
                    await sleep_forever()
                case "NONE":
                    return None
                case "CLASS":
                    return Accept
                case "STATUS":
                    return Reject("with success", 0x0000)
                case "SLOW":
                    await sleep(0.02)
                    return Edit({tag_of("PatientComments"): ("EDITED",)})
            if mood in WAYS:
                changes = {tag_of(name): values for name, values in WAYS[mood].items()}
                return Edit(changes, reason="")
            return Accept()

    @hookimpl
    def pacs_ingest_filters(setup):
        return [IngestFilterDescriptor("moody", lambda node: Moody())]
"""
TABLES = {
    "network": {"timeouts": {"plugin": 1.0, "shutdown": 1.0}},
    "archive": {"keep_received": True, "space": {"reserve": 0}},
}
FAILING = (
    "RAISE", "EXIT", "CANCEL", "GROUP", "HANG", "NONE", "CLASS",
    "STATUS", "NO STUDY", "NO SERIES", "NO INSTANCE", "NO CLASS", "PATH", "LONG", "TWO", "PIXELS",
    "META", "SETS", "SEQUENCE",
)  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def installed(site):
    site.install("moody", MOODY)


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with node_process(tmp_path_factory.mktemp("node"), TABLES) as running:
        yield running


def dataset(uid, mood, pixels=1000):
    values = {
        "SOPClassUID": CT,
        "SOPInstanceUID": uid,
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.3.1",
        "PatientID": "P1",
        "PatientComments": mood,
    }
    header = encode_attributes(
        {tag_of(keyword): (text,) for keyword, text in values.items()}, EXPLICIT_VR_LITTLE_ENDIAN
    )
    data = random.Random(uid).randbytes(pixels)
    return header + b"\xe0\x7f\x10\0OW\0\0" + len(data).to_bytes(4, "little") + data


async def store(peer: Peer, uid: str, mood: str):
    return await store_dataset(peer, CT, uid, dataset(uid, mood))


def objects(node):
    return sorted(path.name for path in (node.data_directory / "objects").rglob("*.dcm"))


numbers = count(1)


@pytest.mark.parametrize("mood", FAILING)
def test_a_filter_that_fails_lets_nothing_in_and_the_node_goes_on(node, mood):
    held, uid = objects(node), f"1.2.3.1.{next(numbers)}"
    response = anyio.run(store, node.peer, uid, mood)
    assert response.status in {0x0110, 0xC000, 0xA900}, hex(response.status)
    assert "secret" not in (response.error_comment or "")
    assert objects(node) == held
    assert node.process.poll() is None
    other = f"1.2.3.1.{next(numbers)}"
    assert anyio.run(store, node.peer, other, "").status == 0x0000
    assert objects(node) == sorted([*held, f"{other}.dcm"])
    lines = (node.data_directory / "audit" / "audit.jsonl").read_text

    def recorded():
        events = [json.loads(line) for line in lines().splitlines() if uid in line]
        return any(event["outcome"] == "failure" for event in events)

    until(recorded)


def test_an_association_of_many_goes_on_after_each_failure(node):
    async def send():
        statuses = []
        async with connect(node.peer, [Proposal(CT, (EXPLICIT_VR_LITTLE_ENDIAN,))]) as association:
            for mood in ("RAISE", "", "NO STUDY", "", "EXIT", "", "SLOW"):
                uid = f"1.2.3.1.{next(numbers)}"
                response = await association.c_store(CT, uid, dataset(uid, mood))
                statuses.append(response.status)
        return statuses

    statuses = anyio.run(send)
    assert statuses[1::2] == [0x0000] * 3
    assert statuses[-1] == 0xB000
    assert all(status in {0x0110, 0xC000, 0xA900} for status in statuses[:-1:2])


async def send_until_killed(peer, acknowledged, started):
    """Store what the filter edits, one after the other, until the node dies."""
    try:
        async with connect(peer, [Proposal(CT, (EXPLICIT_VR_LITTLE_ENDIAN,))]) as association:
            while True:
                uid = f"1.2.3.2.{next(numbers)}"
                response = await association.c_store(CT, uid, dataset(uid, "SLOW", 60_000))
                assert response.status == 0xB000
                acknowledged.add(uid)
                started.set()
    except AssociationError:
        pass


async def live(victim, acknowledged, seconds):
    started = anyio.Event()
    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(send_until_killed, victim.peer, acknowledged, started)
        await started.wait()
        await anyio.sleep(seconds)
        victim.kill()


def test_killed_while_filters_judge_it_holds_what_was_acknowledged_and_only_edited(tmp_path):
    """Of what was not acknowledged there is the edited whole or nothing, also after a rebuild."""
    acknowledged, chance = set(), random.Random(20240229)
    with cradle(tmp_path, TABLES) as begin:
        for _ in range(6):
            anyio.run(live, begin(), acknowledged, chance.uniform(0, 0.15))
    for command in ("rebuild", "verify"):
        done = pacs(tmp_path, "index", command)
        assert done.returncode == 0, done.stdout + done.stderr
    with node_process(tmp_path, TABLES | {"plugins": {"disabled": ["moody"]}}) as node:
        served = anyio.run(retrieve_all, node.peer)
    assert acknowledged <= served.keys()
    for found in served.values():
        assert found.PatientComments == "EDITED"
        assert len(found.PixelData) == 60_000
        (item,) = found.OriginalAttributesSequence
        assert item.ModifiedAttributesSequence[0].PatientComments == "SLOW"


async def retrieve_all(peer):
    """Return the instances of the study by SOP Instance UID."""
    found = {}

    def take(uid, chunk):
        found[uid] = found.get(uid, b"") + chunk

    last = await retrieve(peer, {"StudyInstanceUID": "1.2.3"}, CT, take)
    assert (last.status, last.number_of_failed_suboperations or 0) == (0x0000, 0)
    return {uid: dcmread(BytesIO(data), force=True) for uid, data in found.items()}


def pacs(folder, *command):
    return subprocess.run(
        [sys.executable, "-m", "pacs_core.cli.main", *command, "--config", folder / "pacs.toml"],
        capture_output=True,
        text=True,
        timeout=60,
    )
