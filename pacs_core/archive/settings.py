"""What a site may choose about its archive."""

from enum import Enum


class DuplicatePolicy(Enum):
    """What happens to an instance whose UID is taken by other content.

    The same content is always acknowledged without being written again. Under no policy is
    other content lost without a trace: what is replaced is replaced on purpose and audited.
    """

    KEEP_FIRST = "keep-first"
    """The first stays the one that is served; the newcomer is kept durably beside it."""
    REPLACE = "replace"
    """The newcomer is served from now on, the former object is deleted."""
    REJECT = "reject"
    """The newcomer is refused."""


class Durability(Enum):
    """What has happened to an instance when it is acknowledged."""

    COMMIT = "commit"
    """Object and index row survive a power failure."""
    WRITE_BEHIND = "write-behind"
    """Acknowledged from a journal. There is none yet: this does what ``commit`` does."""
    NONE = "none"
    """For tests and caches: a power failure may take what was acknowledged shortly before."""
