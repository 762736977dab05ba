"""Files: read in pieces, names that survive a power failure, and locks among processes."""

from pacs_core.concurrency.files import file_chunks, sync_directory, try_lock

__all__ = ["file_chunks", "sync_directory", "try_lock"]
