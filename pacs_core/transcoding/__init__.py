"""Conversion between transfer syntaxes: which, with which codec, and frame by frame."""

from pacs_core.transcoding.errors import (
    CodecCrashedError,
    CodecMemoryError,
    CodecTimeoutError,
)
from pacs_core.transcoding.limits import WorkerLimits
from pacs_core.transcoding.messages import ConvertedFrame, Job
from pacs_core.transcoding.workers import CodecWorkers

__all__ = [
    "CodecCrashedError",
    "CodecMemoryError",
    "CodecTimeoutError",
    "CodecWorkers",
    "ConvertedFrame",
    "Job",
    "WorkerLimits",
]
