"""Conversion between transfer syntaxes: which, with which codec, and frame by frame."""

from typing import TYPE_CHECKING

from pacs_core.on_demand import import_on_demand

if TYPE_CHECKING:
    from pacs_core.transcoding.errors import (
        CodecCrashedError as CodecCrashedError,
        CodecKilledError as CodecKilledError,
        CodecMemoryError as CodecMemoryError,
        CodecTimeoutError as CodecTimeoutError,
    )
    from pacs_core.transcoding.files import (
        FileConversion as FileConversion,
        convert_file as convert_file,
    )
    from pacs_core.transcoding.frames import (
        StoredFrame as StoredFrame,
        decode_frame as decode_frame,
        decode_frames as decode_frames,
    )
    from pacs_core.transcoding.images import image_in as image_in, scanned_image as scanned_image
    from pacs_core.transcoding.planner import Planner as Planner
    from pacs_core.transcoding.remedies import distributions_for as distributions_for
    from pacs_core.transcoding.settings import TranscodingSettings as TranscodingSettings
    from pacs_core.transcoding.spool import Spool as Spool
    from pacs_core.transcoding.table import (
        CodecChoiceError as CodecChoiceError,
        CodecTable as CodecTable,
        codec_table as codec_table,
    )
    from pacs_core.transcoding.transcoder import NodeTranscoder as NodeTranscoder
    from pacs_core.transcoding.workers.limits import WorkerLimits as WorkerLimits
    from pacs_core.transcoding.workers.pool import CodecWorkers as CodecWorkers
    from pacs_core.transcoding.workers.process import (
        WorkerProcess as WorkerProcess,
        start_early as start_early,
    )
    from pacs_core.transcoding.workers.protocol import ConvertedFrame as ConvertedFrame, Job as Job

import_on_demand(
    __name__,
    """
.errors CodecCrashedError CodecKilledError CodecMemoryError CodecTimeoutError
.files FileConversion convert_file
.frames StoredFrame decode_frame decode_frames
.images image_in scanned_image
.planner Planner
.remedies distributions_for
.settings TranscodingSettings
.spool Spool
.table CodecChoiceError CodecTable codec_table
.transcoder NodeTranscoder
.workers.limits WorkerLimits
.workers.pool CodecWorkers
.workers.process WorkerProcess start_early
.workers.protocol ConvertedFrame Job
""",
)
