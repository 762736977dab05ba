"""The composition root: from configuration and plugins to a running node."""

from pacs_core.app.archive import OpenArchive, open_archive
from pacs_core.app.assembly import Assembly, assemble
from pacs_core.app.lifespan import StartError
from pacs_core.app.node import Place, RunningNode, run_node
from pacs_core.app.serve import serve
from pacs_core.app.workers import Supervisor

__all__ = [
    "Assembly",
    "OpenArchive",
    "Place",
    "RunningNode",
    "StartError",
    "Supervisor",
    "assemble",
    "open_archive",
    "run_node",
    "serve",
]
