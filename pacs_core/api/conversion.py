"""Datasets that a plugin converts while they arrive, and frames that it shows."""

from pacs_core.transcoding import Spool, StoredFrame, scanned_image

__all__ = ["Spool", "StoredFrame", "scanned_image"]
