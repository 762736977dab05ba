"""Conversion between transfer syntaxes: which, with which codec, and frame by frame."""

from pacs_core.transcoding.errors import (
    CodecCrashedError,
    CodecKilledError,
    CodecMemoryError,
    CodecTimeoutError,
)
from pacs_core.transcoding.files import FileConversion, convert_file
from pacs_core.transcoding.frames import StoredFrame, decode_frame, decode_frames
from pacs_core.transcoding.images import image_in, scanned_image
from pacs_core.transcoding.planner import Planner
from pacs_core.transcoding.remedies import distributions_for
from pacs_core.transcoding.settings import TranscodingSettings
from pacs_core.transcoding.spool import Spool
from pacs_core.transcoding.table import CodecChoiceError, CodecTable, codec_table
from pacs_core.transcoding.transcoder import NodeTranscoder
from pacs_core.transcoding.workers.limits import WorkerLimits
from pacs_core.transcoding.workers.pool import CodecWorkers
from pacs_core.transcoding.workers.process import WorkerProcess, start_early
from pacs_core.transcoding.workers.protocol import ConvertedFrame, Job

__all__ = [
    "CodecChoiceError",
    "CodecCrashedError",
    "CodecKilledError",
    "CodecMemoryError",
    "CodecTable",
    "CodecTimeoutError",
    "CodecWorkers",
    "ConvertedFrame",
    "FileConversion",
    "Job",
    "NodeTranscoder",
    "Planner",
    "Spool",
    "StoredFrame",
    "TranscodingSettings",
    "WorkerLimits",
    "WorkerProcess",
    "codec_table",
    "convert_file",
    "decode_frame",
    "decode_frames",
    "distributions_for",
    "image_in",
    "scanned_image",
    "start_early",
]
