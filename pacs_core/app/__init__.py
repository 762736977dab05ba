"""The composition root: from configuration and plugins to a running node."""

from pacs_core.app.archive import OpenArchive, open_archive
from pacs_core.app.assembly import Assembly, assemble
from pacs_core.app.lifespan import StartError
from pacs_core.app.node import RunningNode, run_node
from pacs_core.app.serve import serve

__all__ = [
    "Assembly",
    "OpenArchive",
    "RunningNode",
    "StartError",
    "assemble",
    "open_archive",
    "run_node",
    "serve",
]
