"""Datasets that a plugin converts while they arrive, and frames that it shows."""

from pacs_core.transcoding import Spool, StoredFrame, begin_iteration, scanned_image

__all__ = ["Spool", "StoredFrame", "begin_iteration", "scanned_image"]
