"""Verified copies of objects from one store to another, at a pace that leaves room for others."""

from pacs_core.archive.pacing import Pace, ReadPace
from pacs_core.archive.verified_copy import (
    CopyDiffersError,
    ExpectedContent,
    copy_verified,
    verify_content,
)

__all__ = [
    "CopyDiffersError",
    "ExpectedContent",
    "Pace",
    "ReadPace",
    "copy_verified",
    "verify_content",
]
