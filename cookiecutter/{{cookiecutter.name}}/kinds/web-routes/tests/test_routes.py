"""What is special about these routes: they count what a node has stored."""

from collections.abc import Callable
from pathlib import Path

import anyio
import httpx
from pacs_core.association import Proposal, connect
from pacs_core.testing.datasets import SampleDataset
from pacs_core.testing.node import node_thread

NAME = "{{ cookiecutter.name }}"
PLUGINS = (NAME, "web", "sop-storage", "store-filesystem", "index-sqlite")


def test_a_node_counts_series(tmp_path: Path, pacs_dataset: Callable[..., SampleDataset]) -> None:
    datasets = [pacs_dataset("CT"), pacs_dataset("CT"), pacs_dataset("MR")]

    async def store() -> None:
        proposals = [Proposal(each.sop_class_uid) for each in datasets[1:]]
        async with connect(node.peer, proposals) as association:
            for each in datasets:
                uids = each.sop_class_uid, each.sop_instance_uid
                response = await association.c_store(*uids, each.encode())
                assert response.status == 0x0000

    with node_thread(tmp_path, plugins=PLUGINS) as node:
        port = node.node.service_sockets["web"][0].getsockname()[1]
        url = f"http://127.0.0.1:{port}/{NAME}"
        assert httpx.get(f"{url}/series", timeout=20).json() == {}
        anyio.run(store)
        assert httpx.get(f"{url}/series", timeout=20).json() == {"CT": 1, "MR": 1}
        assert "<td>CT<td>1" in httpx.get(f"{url}/", timeout=20).text
