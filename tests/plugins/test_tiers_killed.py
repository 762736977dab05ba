"""A tiered store whose moves and recalls are cut short by kill -9: nothing is lost."""

import subprocess
import sys
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import anyio
import pytest

from pacs_core.association import AssociationError, Proposal, connect
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.killable_node import cradle
from pacs_core.testing.node import node_process
from pacs_core.testing.transfers import retrieve

TIERS = Path(__file__).parents[1] / "distributions" / "pacs-tiers"
COUNT = 12
TABLES = {
    "archive": {"store": "main", "space": {"reserve": 0}},
    "stores": {
        "main": {"type": "tiers", "hot": "ssd", "cold": "tape", "seconds": 0.05},
        "ssd": {"type": "filesystem"},
        "tape": {"type": "filesystem"},
    },
}


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


async def digests(peer, study, sop_class):
    """Retrieve a study; return the final status and the digests of what has come."""
    received = {}

    def take(uid, chunk):
        received.setdefault(uid, sha256()).update(chunk)

    last = await retrieve(peer, {"StudyInstanceUID": study}, sop_class, take)
    return last.status, {uid: digest.digest() for uid, digest in received.items()}


async def retrieve_until_killed(victim, study, sop_class, seconds):
    async def retrieve_some():
        with suppress(AssociationError):
            await digests(victim.peer, study, sop_class)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(retrieve_some)
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
                deadline = time.monotonic() + 60
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
        status, received = anyio.run(digests, victim.peer, study, sop_class)
        assert (status, received) == (0x0000, sent)
        verify(tmp_path)


def test_a_tape_that_hangs_fails_its_instances_and_holds_up_nobody_else(tmp_path):
    away, here = SampleStudy(), SampleStudy()
    cooled, online = [away.make("CT") for _ in range(3)], [here.make("CT")]
    tables = {
        "archive": TABLES["archive"] | {"recall_timeout": 1.0},
        "stores": TABLES["stores"] | {"main": TABLES["stores"]["main"] | {"seconds": 3600.0}},
    }
    sop_class = online[0].sop_class_uid
    with node_process(tmp_path, tables) as node:
        for datasets in (cooled, online):
            anyio.run(store, node.peer, datasets)
        cool(tmp_path, away.study_instance_uid).communicate(timeout=60)

        async def retrieve_both():
            found = {}

            async def one(study):
                found[study] = await digests(node.peer, study, sop_class)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(one, away.study_instance_uid)
                tasks.start_soon(one, here.study_instance_uid)
            return found

        found = anyio.run(retrieve_both)
        status, received = found[away.study_instance_uid]
        assert (status, received) == (0xA702, {})  # PS3.4 Table C.4-3
        status, received = found[here.study_instance_uid]
        assert (status, list(received)) == (0x0000, [online[0].sop_instance_uid])
        assert node.stop() == 0
