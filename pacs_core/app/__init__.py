"""The composition root: from configuration and plugins to a running node.

What needs signals and processes of POSIX is imported from where it is (:mod:`pacs_core.app.serve`,
:mod:`pacs_core.app.workers`): commands that run no node are used on Windows as well.
"""

from typing import TYPE_CHECKING

from pacs_core.on_demand import import_on_demand

if TYPE_CHECKING:
    from pacs_core.app.archive import OpenArchive as OpenArchive, open_archive as open_archive
    from pacs_core.app.assembly import (
        Assembly as Assembly,
        assemble as assemble,
        assemble_file as assemble_file,
    )
    from pacs_core.app.examination import record_configuration_error as record_configuration_error
    from pacs_core.app.foundation import open_sinks as open_sinks
    from pacs_core.app.frames import (
        FrameReader as FrameReader,
        open_frames as open_frames,
        read_frame as read_frame,
    )
    from pacs_core.app.lifespan import StartError as StartError
    from pacs_core.app.node import (
        RunningNode as RunningNode,
        WorkerSlot as WorkerSlot,
        address as address,
        bind_dicom as bind_dicom,
        dicom_urls as dicom_urls,
        run_node as run_node,
    )
    from pacs_core.app.process import (
        raise_file_limit as raise_file_limit,
        restrict_files as restrict_files,
    )
    from pacs_core.app.services import (
        Sockets as Sockets,
        bind_services as bind_services,
        describe_addresses as describe_addresses,
    )
    from pacs_core.app.transcoding import open_transcoder as open_transcoder

import_on_demand(
    __name__,
    """
.archive OpenArchive open_archive
.assembly Assembly assemble assemble_file
.examination record_configuration_error
.foundation open_sinks
.frames FrameReader open_frames read_frame
.lifespan StartError
.node RunningNode WorkerSlot address bind_dicom dicom_urls run_node
.process raise_file_limit restrict_files
.services Sockets bind_services describe_addresses
.transcoding open_transcoder
""",
)
