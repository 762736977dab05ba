"""The composition root: from configuration and plugins to a running node.

What needs signals and processes of POSIX is imported from where it is (:mod:`pacs_core.app.serve`,
:mod:`pacs_core.app.workers`): commands that run no node are used on Windows as well.
"""

from pacs_core.app.archive import OpenArchive, open_archive
from pacs_core.app.assembly import Assembly, assemble, assemble_file
from pacs_core.app.examination import record_configuration_error
from pacs_core.app.foundation import open_sinks
from pacs_core.app.frames import FrameReader, open_frames, read_frame
from pacs_core.app.lifespan import StartError
from pacs_core.app.node import RunningNode, WorkerSlot, address, bind_dicom, dicom_urls, run_node
from pacs_core.app.process import raise_file_limit, restrict_files
from pacs_core.app.services import Sockets, bind_services, describe_addresses
from pacs_core.app.transcoding import open_transcoder

__all__ = [
    "Assembly",
    "FrameReader",
    "OpenArchive",
    "RunningNode",
    "Sockets",
    "StartError",
    "WorkerSlot",
    "address",
    "assemble",
    "assemble_file",
    "bind_dicom",
    "bind_services",
    "describe_addresses",
    "dicom_urls",
    "open_archive",
    "open_frames",
    "open_sinks",
    "open_transcoder",
    "raise_file_limit",
    "read_frame",
    "record_configuration_error",
    "restrict_files",
    "run_node",
]
