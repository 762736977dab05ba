"""The composition root: from configuration and plugins to a running node."""

from pacs_core.app.archive import OpenArchive, open_archive
from pacs_core.app.assembly import Assembly, assemble, assemble_file
from pacs_core.app.examination import record_configuration_error
from pacs_core.app.foundation import open_sinks
from pacs_core.app.frames import read_frame
from pacs_core.app.lifespan import StartError
from pacs_core.app.node import RunningNode, WorkerSlot, address, bind_dicom, dicom_urls, run_node
from pacs_core.app.process import raise_file_limit, restrict_files
from pacs_core.app.serve import ignore_harmless_signals, serve
from pacs_core.app.services import Sockets, bind_services, describe_addresses
from pacs_core.app.transcoding import open_transcoder
from pacs_core.app.workers import Supervisor

__all__ = [
    "Assembly",
    "OpenArchive",
    "RunningNode",
    "Sockets",
    "StartError",
    "Supervisor",
    "WorkerSlot",
    "address",
    "assemble",
    "assemble_file",
    "bind_dicom",
    "bind_services",
    "describe_addresses",
    "dicom_urls",
    "ignore_harmless_signals",
    "open_archive",
    "open_sinks",
    "open_transcoder",
    "raise_file_limit",
    "read_frame",
    "record_configuration_error",
    "restrict_files",
    "run_node",
    "serve",
]
