"""Deletion into the bin, restoration and removal, cut short by kill -9 at any moment."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from hashlib import sha256

import anyio
import pytest

from pacs_core.association import Proposal, connect
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.node import node_process
from pacs_core.testing.transfers import retrieve

from .test_node import PLUGINS, objects, pacs, tables

COUNT = 30
STUDY = SampleStudy()
DATASETS = {each.sop_instance_uid: each for each in (STUDY.make("CT") for _ in range(COUNT))}
UID = STUDY.study_instance_uid
CLASS = next(iter(DATASETS.values())).sop_class_uid
BIN = {"deletions": ["commands"], "keep": 30}

_RUN = """
import sys
from pacs_core.api.commands import main
print("begun", flush=True)
sys.exit(main(sys.argv[1:]))
"""


async def store(peer):
    async with connect(peer, [Proposal(CLASS)]) as association:
        for each in DATASETS.values():
            response = await association.c_store(CLASS, each.sop_instance_uid, each.encode())
            assert response.status == 0x0000


def kill_midway(folder, chance, *arguments):
    """Run a command, and kill it after a while; return its code, which is that of a signal."""
    command = [sys.executable, "-c", _RUN, *arguments, "--config", str(folder / "pacs.toml")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        process.stdout.readline()
        before = objects_in_bin(folder)
        deadline = time.monotonic() + 60
        # Not before it has begun to work, and then at any moment.
        while process.poll() is None and objects_in_bin(folder) == before:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        time.sleep(chance.random() * 0.15)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        return process.wait()


def objects_in_bin(folder):
    with closing(sqlite3.connect(folder / "database.sqlite", timeout=30)) as connection:
        return connection.execute("SELECT count(*), sum(since) FROM lifecycle_bin").fetchone()


def served(peer):
    received = {}

    def take(uid, chunk):
        received.setdefault(uid, sha256()).update(chunk)

    anyio.run(retrieve, peer, {"StudyInstanceUID": UID}, CLASS, take)
    return {uid: digest.digest() for uid, digest in received.items()}


def check(folder, peer):
    """All of it is somewhere: what is served is whole, and nothing that lacks is no fault."""
    assert len(objects(folder)) == COUNT
    found = served(peer)
    whole = {uid: sha256(each.encode()).digest() for uid, each in DATASETS.items()}
    assert found.items() <= whole.items()
    code, told = pacs(folder, "index", "verify")
    assert code == 0, told
    return len(found)


@pytest.mark.long
def test_deletion_and_restoration_are_killed(tmp_path):
    chance, folder = random.Random(7), tmp_path / "node"
    kills = seen = 0
    with node_process(folder, tables((), bin=BIN), plugins=PLUGINS) as node:
        anyio.run(store, node.peer)
        for _ in range(4):
            kills += kill_midway(folder, chance, "delete", "--study", UID, "--yes") < 0
            seen += 0 < check(folder, node.peer) < COUNT
            restore = ("lifecycle", "bin", "restore", UID)
            kills += kill_midway(folder, chance, *restore) < 0
            seen += 0 < check(folder, node.peer) < COUNT
            # Done again, it is done.
            pacs(folder, *restore)
            assert check(folder, node.peer) == COUNT
    assert kills > 4
    assert seen > 0


@pytest.mark.long
def test_removal_is_killed(tmp_path):
    chance, folder = random.Random(8), tmp_path / "node"
    with node_process(folder, tables((), bin=BIN), plugins=PLUGINS) as node:
        anyio.run(store, node.peer)
        assert pacs(folder, "delete", "--study", UID, "--yes")[0] == 0
        remove = ("lifecycle", "bin", "empty", "--study", UID, "--yes")
        kill_midway(folder, chance, *remove)
        left = len(objects(folder))
        # What is being removed does not come back, and what is left is no orphan.
        pacs(folder, "lifecycle", "bin", "restore", UID)
        assert pacs(folder, "index", "verify")[0] == 0
        assert len(served(node.peer)) <= left
        pacs(folder, "delete", "--study", UID, "--yes")
        pacs(folder, *remove)
        assert objects(folder) == set()
        assert pacs(folder, "lifecycle", "bin", "list", "--json") == (0, "")
