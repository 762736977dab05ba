"""Files: names that survive a power failure, and locks among processes."""

from pacs_core.concurrency.files import sync_directory, try_lock

__all__ = ["sync_directory", "try_lock"]
