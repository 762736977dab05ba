"""Upkeep of print jobs: those that ended are forgotten after a while."""

import time
from typing import Final

import anyio
from attrs import define

from pacs_core.contracts import Node, Service, Started
from pacs_sop_print.config import PrintConfig
from pacs_sop_print.interface import PrintQueue

_PAUSE: Final = 3600.0


@define(eq=False)
class Upkeep(Service):
    """Forgets print jobs that ended, and files that nobody was promised.

    Parameters
    ----------
    node : Node
    config : PrintConfig
    """

    node: Node
    config: PrintConfig

    async def run(self, started: Started) -> None:
        """Forget now and then, until cancelled."""
        queue = self.node.find(PrintQueue)
        started()
        while True:
            await queue.forget(time.time() - self.config.keep * 86400)
            await anyio.sleep(_PAUSE)
