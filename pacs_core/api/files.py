"""Files that survive a power failure."""

from pacs_core.concurrency.files import sync_directory

__all__ = ["sync_directory"]
