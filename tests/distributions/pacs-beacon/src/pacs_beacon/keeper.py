"""A service that only one process of the node runs."""

import os
from pathlib import Path

import anyio

from pacs_core.contracts import Node, Service, Started


class Keeper(Service):
    """Writes the identifier of its process into the plugin's directory."""

    def __init__(self, node: Node, directory: Path) -> None:
        self._directory = directory

    async def run(self, started: Started) -> None:
        """Add a line, and keep the lamp."""
        self._directory.mkdir(parents=True, exist_ok=True)
        with (self._directory / "keepers").open("a") as file:
            file.write(f"{os.getpid()}\n")
        started()
        await anyio.sleep_forever()
