"""Worker threads for stores and indexes that block, and what would hold all threads up."""

from pacs_core.concurrency import Threads, without_collection

__all__ = ["Threads", "without_collection"]
