"""Datasets that a plugin converts while they arrive or go out, and frames that it shows."""

from pacs_core.transcoding import Spool, StoredFrame, image_in, scanned_image

__all__ = ["Spool", "StoredFrame", "image_in", "scanned_image"]
