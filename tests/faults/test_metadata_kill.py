"""Kill -9 while metadata are prepared: none are missing in the end, none are others' or half."""

import random
import sqlite3
from pathlib import Path

import anyio
import pytest

from pacs_core.app import assemble
from pacs_core.app.archive import open_archive
from pacs_core.archive.metadata import METADATA_FORM
from pacs_core.association import Proposal, connect
from pacs_core.config import load_config
from pacs_core.contracts import Level, Query, encode_metadata
from pacs_core.testing.datasets import SampleStudy
from pacs_core.testing.killable_node import cradle

pytestmark = [pytest.mark.anyio]

TABLES = {"archive": {"durability": "none", "space": {"reserve": 0}}}
ROUNDS = 6
EACH = 150


def kept(folder: Path) -> int:
    with sqlite3.connect(folder / "index.sqlite") as connection:
        return connection.execute("SELECT count(*) FROM metadata").fetchone()[0]


async def store(peer, study: SampleStudy, count: int) -> None:
    datasets = [study.make("CT") for _ in range(count)]
    proposals = [Proposal(datasets[0].sop_class_uid, ("1.2.840.10008.1.2.1",))]
    async with connect(peer, proposals) as association:
        for dataset in datasets:
            response = await association.c_store(
                dataset.sop_class_uid, dataset.sop_instance_uid, dataset.encode()
            )
            assert response.status == 0x0000


async def test_metadata_are_prepared_whatever_is_killed(tmp_path: Path) -> None:
    study, dice = SampleStudy(), random.Random(7)
    with cradle(tmp_path, TABLES) as begin:
        seen = []
        for _ in range(ROUNDS):
            victim = begin()
            await store(victim.peer, study, EACH)
            await anyio.sleep(dice.uniform(0.9, 1.3))  # while they are prepared, or before
            victim.kill()
            seen.append(kept(tmp_path))
        begin()
        with anyio.fail_after(60):
            while kept(tmp_path) < ROUNDS * EACH:  # noqa: ASYNC110 another process
                await anyio.sleep(0.1)
    assert seen == sorted(seen)  # what was kept is not made again
    async with open_archive(assemble(load_config(tmp_path / "pacs.toml"))) as opened:
        prepared = opened.index.prepared_metadata(METADATA_FORM)
        found = {i: metadata async for i, metadata in prepared.find(Query(Level.IMAGE))}
        assert len(found) == ROUNDS * EACH
        for instance, metadata in found.items():
            assert metadata == encode_metadata(await opened.archive.header(instance))
