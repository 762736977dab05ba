"""A node that is killed while objects move: each is whole in a tier, and in the end in one only."""

import os
import random
import time
from hashlib import sha256
from pathlib import Path

import anyio
import pytest

from pacs_core.association import Proposal, connect
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.killable_node import cradle
from pacs_core.testing.transfers import retrieve
from pacs_core.testing.waiting import until

from .test_node import enqueue, pacs

COUNT = 12
SIZE = 200_000
LIVES = 5


def tables(rate):
    return {
        "archive": {"store": "main", "study_quiet_time": 0.3, "space": {"reserve": 0}},
        "stores": {
            "main": {"type": "tiered", "hot": "ssd", "cold": "tape"},
            "ssd": {"type": "filesystem"},
            "tape": {"type": "filesystem"},
        },
        "plugin": {
            "jobs": {"lease": 3.0},
            "store-tiered": {
                "policies": [{"to": "cold", "incomplete": True}],
                "schedule": "0 0 1 1 *",
                "rate": rate,
            },
        },
    }


class Archive:
    """The two tiers on disk, and what was acknowledged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sent: dict[str, bytes] = {}

    async def store(self, peer) -> None:
        study = SampleStudy()
        datasets = [study.make("CT", PixelData=os.urandom(SIZE)) for _ in range(COUNT)]
        async with connect(peer, [Proposal(datasets[0].sop_class_uid)]) as association:
            for each in datasets:
                data = each.encode()
                response = await association.c_store(
                    each.sop_class_uid, each.sop_instance_uid, data
                )
                assert response.status == 0x0000
                self.sent[each.sop_instance_uid] = sha256(data).digest()
        self.sop_class = datasets[0].sop_class_uid
        self.study = study.study_instance_uid

    def in_tier(self, tier: str) -> dict[str, Path]:
        found = (self.folder / "stores" / tier).rglob("*.dcm")
        return {path.name.removesuffix(".dcm"): path for path in found}

    def check(self) -> None:
        """Each has a whole copy; a file under its name is always whole."""
        hot, cold = self.in_tier("ssd"), self.in_tier("tape")
        assert {*hot, *cold} == {*self.sent}
        sizes = {uid: path.stat().st_size for uid, path in (hot | cold).items()}
        for tier in (hot, cold):
            for uid, path in tier.items():
                assert path.stat().st_size == sizes[uid] > SIZE
        for uid in {*hot} & {*cold}:
            assert hot[uid].read_bytes() == cold[uid].read_bytes()

    def strays(self) -> list[Path]:
        known = {*self.in_tier("ssd").values(), *self.in_tier("tape").values()}
        files = (each for each in (self.folder / "stores").rglob("*") if each.is_file())
        return [each for each in files if each not in known and "locks" not in each.parts]


@pytest.mark.long
def test_a_node_that_is_killed_while_objects_move(tmp_path: Path) -> None:
    chance = random.Random(9)
    archive = Archive(tmp_path / "node")
    with cradle(archive.folder, tables(rate=4.0)) as begin:
        for life in range(LIVES):
            node = begin()
            anyio.run(archive.store, node.peer)
            anyio.run(enqueue, archive.folder)
            before = len(archive.in_tier("tape"))
            until(lambda: len(archive.in_tier("tape")) > before)  # noqa: B023
            time.sleep(chance.random() * 0.4)  # any instant of a move
            node.kill()
            archive.check()
            # Throttled: what takes seconds is not done at once.
            assert archive.in_tier("ssd"), life
        node = begin()
        until(lambda: not archive.in_tier("ssd"))
        archive.check()
        assert archive.strays() == []
        code, told = pacs(archive.folder, "index", "verify")
        assert code == 0, told
        received: dict[str, sha256] = {}

        def take(uid: str, chunk: bytes) -> None:
            received.setdefault(uid, sha256()).update(chunk)

        keys = {"StudyInstanceUID": archive.study}
        assert anyio.run(retrieve, node.peer, keys, archive.sop_class, take).status == 0x0000
        assert len(received) == COUNT
        assert all(each.digest() == archive.sent[uid] for uid, each in received.items())
