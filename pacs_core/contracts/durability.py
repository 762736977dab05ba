"""Durability: what an acknowledgement promises."""

from enum import Enum


class Durability(Enum):
    """What has happened to an instance when it is acknowledged.

    Under each of them an instance that was acknowledged is whole, and can be found at once.
    """

    COMMIT = "commit"
    """Object and index row are on disk: they survive a power failure."""
    WRITE_BEHIND = "write-behind"
    """Object and index row are with the operating system: they survive the death of every process
    of the node at any instant. They are flushed to disk shortly after, and a power failure can
    take only what was acknowledged since the last flush. After a restart nothing half is visible:
    no index row is without its whole object, and what was lost is named and audited."""
    NONE = "none"
    """For tests and caches: nothing waits for a disk, nothing is flushed, and nobody keeps account
    of what a power failure takes. It may damage the index, which can be built again."""
