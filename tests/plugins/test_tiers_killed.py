"""A tiered store whose moves and recalls are cut short by kill -9: nothing is lost."""

import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import anyio
import pytest

from pacs_core.association import AssociationError, Proposal, connect
from pacs_core.dataset import EXPLICIT_VR_LITTLE_ENDIAN, tag_of
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.killable_node import cradle

TIERS = Path(__file__).parents[1] / "distributions" / "pacs-tiers"
STUDY_GET = "1.2.840.10008.5.1.4.1.2.2.3"
COUNT = 12
TABLES = {
    "archive": {"store": "main", "space": {"reserve": 0}},
    "stores": {
        "main": {"type": "tiers", "hot": "ssd", "cold": "tape", "seconds": 0.05},
        "ssd": {"type": "filesystem"},
        "tape": {"type": "filesystem"},
    },
}

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(autouse=True, scope="module")
def installed(site):
    site.link(TIERS)


async def store(peer, datasets):
    async with connect(peer, [Proposal(datasets[0].sop_class_uid)]) as association:
        for each in datasets:
            response = await association.c_store(
                each.sop_class_uid, each.sop_instance_uid, each.encode()
            )
            assert response.status == 0x0000


async def retrieve(peer, study, sop_class):
    """Return the digests of what comes, until the node dies."""
    received = {}

    async def receive(operation):
        data = await operation.dataset.read(1 << 22)
        received[operation.command.affected_sop_instance_uid] = sha256(data).digest()
        return 0x0000

    identifier = {tag_of("QueryRetrieveLevel"): ("STUDY",), tag_of("StudyInstanceUID"): (study,)}
    proposals = [
        Proposal(STUDY_GET, (EXPLICIT_VR_LITTLE_ENDIAN,)),
        Proposal(sop_class, (EXPLICIT_VR_LITTLE_ENDIAN,), scu=False, scp=True),
    ]
    try:
        async with connect(peer, proposals) as association:
            responses = [r async for r, _ in association.c_get(STUDY_GET, identifier, receive)]
    except AssociationError:
        return received, None
    return received, responses[-1].status


async def retrieve_until_killed(victim, study, sop_class, seconds):
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(retrieve, victim.peer, study, sop_class)
        await anyio.sleep(seconds)
        victim.kill()


def cool(folder, study):
    command = [sys.executable, "-m", "pacs_core.cli.main", "tiers", "cool", study]
    return subprocess.Popen([*command, "--config", folder / "pacs.toml"], stdout=subprocess.PIPE)


def verify(folder):
    done = subprocess.run(
        [sys.executable, "-m", "pacs_core.cli.main", "index", "verify", "--content", "--config",
         folder / "pacs.toml"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_moves_and_recalls_that_are_killed_lose_nothing(tmp_path):
    sample = SampleStudy()
    datasets = [sample.make("CT") for _ in range(COUNT)]
    study, sop_class = sample.study_instance_uid, datasets[0].sop_class_uid
    sent = {each.sop_instance_uid: sha256(each.encode()).digest() for each in datasets}
    with cradle(tmp_path, TABLES) as begin:
        victim = begin()
        anyio.run(store, victim.peer, datasets)
        for number in range(4):
            moving = cool(tmp_path, study)
            if number % 2:  # cut short while it moves, at some object
                tape = tmp_path / "stores" / "tape"
                deadline = time.monotonic() + 30
                before = len(list(tape.rglob("*.dcm")))
                while moving.poll() is None and len(list(tape.rglob("*.dcm"))) <= before:
                    assert time.monotonic() < deadline
                    time.sleep(0.002)
                moving.kill()
            moving.communicate(timeout=60)
            anyio.run(retrieve_until_killed, victim, study, sop_class, 0.1 + 0.1 * number)
            verify(tmp_path)
            victim = begin()
        moving = cool(tmp_path, study)
        assert b"NEARLINE" in moving.communicate(timeout=60)[0]
        received, status = anyio.run(retrieve, victim.peer, study, sop_class)
        assert (status, received) == (0x0000, sent)
        verify(tmp_path)
