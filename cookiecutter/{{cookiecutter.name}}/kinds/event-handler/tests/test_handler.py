"""What is special about this handler, and a node that tells it of what it stores."""

import json
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from pacs_core.association import Proposal, connect
from pacs_core.contracts import InstanceEventKind
from pacs_core.testing.datasets import SampleDataset
from pacs_core.testing.event_handler_contract import instance_event
from pacs_core.testing.node import node_thread

from {{ cookiecutter.__package }} import Arrivals, Config

pytestmark = pytest.mark.anyio

NAME = "{{ cookiecutter.name }}"
PLUGINS = (NAME, "sop-storage", "store-filesystem", "index-sqlite")


async def listed(path: Path, config: Config, *modalities: str) -> list[str]:
    """Return the modalities that a handler lists when instances of these are stored."""
    handler = Arrivals(path / "list" / "arrivals.jsonl", config)
    await handler.start()
    for modality in modalities:
        for kind in InstanceEventKind:
            await handler.handle(instance_event(kind, modality))
    lines = (path / "list" / "arrivals.jsonl").read_text().splitlines()
    return [json.loads(line)["modality"] for line in lines]


async def test_each_stored_instance_is_listed_once(tmp_path: Path) -> None:
    assert await listed(tmp_path, Config(), "CT", "MR", "CT") == ["CT", "MR", "CT"]


async def test_modalities_can_be_chosen(tmp_path: Path) -> None:
    assert await listed(tmp_path, Config(modalities=("MR",)), "CT", "MR", "CT") == ["MR"]


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

    # A node that has stopped has told its handlers of everything.
    with node_thread(tmp_path, plugins=PLUGINS) as node:
        assert anyio.run(store) == 0x0000
    (line,) = (tmp_path / NAME / "arrivals.jsonl").read_text().splitlines()
    assert json.loads(line)["sop_instance_uid"] == dataset.sop_instance_uid
