"""Worker threads for stores and indexes that block."""

from pacs_core.concurrency import Threads

__all__ = ["Threads"]
