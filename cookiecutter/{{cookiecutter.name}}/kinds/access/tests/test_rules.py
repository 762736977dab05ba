"""What is special about these rules: who is not in them stays outside, some see a part."""

from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from pacs_core.association import AssociationRefusedError, Proposal, connect
from pacs_core.dataset import Attributes, tag_of, texts
from pacs_core.testing.datasets import SampleDataset
from pacs_core.testing.node import NodeThread, node_thread

NAME = "{{ cookiecutter.name }}"
PLUGINS = (NAME, "sop-storage", "sop-query-retrieve", "store-filesystem", "index-sqlite")
RULES = [
    {"peers": ["MODALITY"], "may": ["store"]},
    {"peers": ["ALL"], "may": ["query"]},
    {"peers": ["CTVIEWER"], "may": ["query"], "modalities": ["CT"]},
]
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
LEVEL, MODALITY = tag_of("QueryRetrieveLevel"), tag_of("Modality")


async def store(node: NodeThread, datasets: list[SampleDataset]) -> None:
    """Store some instances as a modality."""
    proposals = [Proposal(dataset.sop_class_uid) for dataset in datasets]
    async with connect(node.peer, proposals, calling_ae_title="MODALITY") as association:
        for each in datasets:
            response = await association.c_store(
                each.sop_class_uid, each.sop_instance_uid, each.encode()
            )
            assert response.status == 0x0000


async def find(node: NodeThread, title: str) -> list[str]:
    """Return the modalities of the series that somebody finds."""
    async with connect(node.peer, [Proposal(FIND)], calling_ae_title=title) as association:
        identifier: Attributes = {LEVEL: ("SERIES",), MODALITY: ()}
        found = [match async for _, match in association.c_find(FIND, identifier)]
    return sorted("".join(texts(match, MODALITY)) for match in found if match)


def test_each_peer_sees_its_part(
    tmp_path: Path, pacs_dataset: Callable[..., SampleDataset]
) -> None:
    datasets = [pacs_dataset("CT"), pacs_dataset("MR")]
    with node_thread(tmp_path, {"plugin": {NAME: {"rule": RULES}}}, plugins=PLUGINS) as node:
        anyio.run(store, node, datasets)
        assert anyio.run(find, node, "ALL") == ["CT", "MR"]
        assert anyio.run(find, node, "CTVIEWER") == ["CT"]
        with pytest.raises(AssociationRefusedError):
            anyio.run(find, node, "OTHER")
