"""The composition root: from configuration and plugins to a running node."""

from pacs_core.app.archive import OpenArchive, open_archive
from pacs_core.app.assembly import Assembly, assemble, assemble_file
from pacs_core.app.capabilities import CAPABILITIES, Capability, missing_capabilities
from pacs_core.app.examination import record_configuration_error
from pacs_core.app.frames import read_frame
from pacs_core.app.lifespan import StartError
from pacs_core.app.node import Place, RunningNode, run_node
from pacs_core.app.serve import ignore_harmless_signals, serve
from pacs_core.app.transcoding import open_transcoder
from pacs_core.app.workers import Supervisor

__all__ = [
    "CAPABILITIES",
    "Assembly",
    "Capability",
    "OpenArchive",
    "Place",
    "RunningNode",
    "StartError",
    "Supervisor",
    "assemble",
    "assemble_file",
    "ignore_harmless_signals",
    "missing_capabilities",
    "open_archive",
    "open_transcoder",
    "read_frame",
    "record_configuration_error",
    "run_node",
    "serve",
]
