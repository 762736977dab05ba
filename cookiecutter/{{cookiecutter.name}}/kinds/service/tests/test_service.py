"""What is special about this service: it counts what a node has stored."""

import json
import socket
from collections.abc import Callable
from pathlib import Path

import anyio
from pacs_core.association import Proposal, connect
from pacs_core.testing.datasets import SampleDataset
from pacs_core.testing.node import node_thread

NAME = "{{ cookiecutter.name }}"
PLUGINS = (NAME, "sop-storage", "store-filesystem", "index-sqlite")


def test_a_node_says_how_much_it_holds(
    tmp_path: Path, pacs_dataset: Callable[..., SampleDataset]
) -> None:
    dataset = pacs_dataset("CT")

    def ask() -> object:
        address = node.node.service_sockets[NAME][0].getsockname()
        with socket.create_connection(address, 20) as connection:
            return json.loads(connection.makefile().readline())

    async def store() -> int | None:
        async with connect(node.peer, [Proposal(dataset.sop_class_uid)]) as association:
            response = await association.c_store(
                dataset.sop_class_uid, dataset.sop_instance_uid, dataset.encode()
            )
        return response.status

    with node_thread(tmp_path, plugins=PLUGINS) as node:
        assert ask() == {"worker": 0, "studies": 0}
        assert anyio.run(store) == 0x0000
        assert ask() == {"worker": 0, "studies": 1}
