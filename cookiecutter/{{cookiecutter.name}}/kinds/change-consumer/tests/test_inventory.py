"""What is special about this consumer, and a node that tells it of what it stores."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import islice
from pathlib import Path

import anyio
import pytest
from pacs_core.association import Proposal, connect
from pacs_core.contracts import ChangeKind
from pacs_core.testing.change_consumer_contract import sample_changes
from pacs_core.testing.datasets import SampleDataset
from pacs_core.testing.node import node_process
from pacs_core.testing.waiting import until

from {{ cookiecutter.__package }} import Inventory

NAME = "{{ cookiecutter.name }}"
PLUGINS = (NAME, "sop-storage", "store-filesystem", "index-sqlite")


def listed(path: Path) -> list[str]:
    """Return the SOP Instance UIDs of an inventory; none if it is not there yet."""
    if not path.exists():
        return []
    with closing(sqlite3.connect(path)) as database:
        tables = database.execute("SELECT 1 FROM sqlite_master").fetchall()
        rows = database.execute("SELECT uid FROM instance ORDER BY uid") if tables else []
        return [uid for (uid,) in rows]


@pytest.mark.anyio
async def test_what_comes_is_listed_once_until_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "inventory.sqlite"
    inventory = Inventory(path)
    await inventory.start()
    added = list(islice(sample_changes(frozenset({ChangeKind.ADDED})), 3))
    await inventory.handle(added)
    await inventory.handle(added)
    uids = [change.instance.identity.sop_instance_uid for change in added if change.instance]
    assert listed(path) == sorted(uids)


def test_a_node_lists_what_it_stores(
    tmp_path: Path, pacs_dataset: Callable[..., SampleDataset]
) -> None:
    dataset = pacs_dataset("CT")

    async def store() -> int | None:
        async with connect(node.peer, [Proposal(dataset.sop_class_uid)]) as association:
            response = await association.c_store(
                dataset.sop_class_uid, dataset.sop_instance_uid, dataset.encode()
            )
        return response.status

    path = tmp_path / NAME / "inventory.sqlite"
    with node_process(tmp_path, plugins=PLUGINS) as node:
        assert anyio.run(store) == 0x0000
        node.kill()  # at once: the next one is told
    with node_process(tmp_path, plugins=PLUGINS):
        until(lambda: listed(path) == [dataset.sop_instance_uid])
