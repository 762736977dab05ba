"""The table of the archive in the configuration, and the choices in it."""

import math
from collections.abc import Callable
from enum import Enum
from typing import Final, TypeAlias

from attrs import field, frozen
from attrs.validators import ge, gt, in_, lt

from pacs_core.contracts import Durability

_MIB: Final = 1024 * 1024

CharacterSetOf: TypeAlias = Callable[[str], tuple[str, ...]]
"""The Specific Character Set that is assumed of datasets of an AE title, where they do not say."""


def no_character_set(_ae_title: str) -> tuple[str, ...]:
    """Assume nothing."""
    return ()


FLUSH_INTERVAL = 1.0
"""Seconds between two flushes of what is written behind."""

FLUSH_BYTES = 64 << 20
"""Bytes of objects, written behind, that are flushed before the time."""

JOURNAL_AFTER: Final = 64
"""Small instances that a process has stored when it makes a journal without having been told to."""

RECALL_TIMEOUT: Final = 300.0
"""Seconds without one more object coming online, after which the rest is given up."""

STUDY_QUIET_TIME: Final = 60.0
"""Seconds without a change after which a study is complete."""


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


class VerifyReads(Enum):
    """Which reads are checked against the digest of what was stored."""

    OFF = "off"
    """None; only that the object has its size."""
    SAMPLED = "sampled"
    """One of sixteen, by chance."""
    ALWAYS = "always"
    """Each: what is damaged is not handed out."""


@frozen
class SpaceSettings:
    """``[archive.space]``: how much room the disks of store and index must have, in bytes.

    Attributes
    ----------
    warning : int
        Less than so much free is logged and audited as a warning.
    minimum : int
        With less than so much free, nothing is stored: a C-STORE is answered A700H.
    reserve : int
        Size of a file that is kept on each disk, and removed when it is full, so that deleting
        still works; 0 keeps none.
    """

    warning: int = field(default=2048 * _MIB, validator=ge(0))
    minimum: int = field(default=64 * _MIB, validator=ge(0))
    reserve: int = field(default=16 * _MIB, validator=ge(0))


@frozen
class ArchiveSettings:
    """``[archive]``: which store and index, and what they promise.

    Attributes
    ----------
    store, index : str or None
        Name of an object store and of an index that a plugin provides; or, of a store, the NAME
        of a table ``[stores.NAME]``. None takes ``filesystem`` and ``sqlite`` if they are
        installed, else the only one there is.
    duplicates : DuplicatePolicy
        What happens to other content under a SOP Instance UID that is taken.
    durability : Durability
        What has happened to an instance when it is acknowledged.
    journal : bool, optional
        Whether small instances (64 KiB) are acknowledged once they are in a journal on disk, which
        one sync brings there for all who wait; store and index are synced shortly after. For
        ``commit``, and an index on a local disk. Each worker has a journal of its own. Unless it is
        set, there is one where the store gains by it, as ``filesystem`` does, once a worker has
        stored 64 such instances.
    flush_interval : float
        Seconds after which what is written behind is flushed to disk.
    flush_bytes : int
        Bytes of objects after which that happens at once; while there are twice as many, senders
        wait.
    verify_reads : VerifyReads
        Which reads of stored objects are checked against the digest of what was stored.
    original_attributes : bool
        Whether what was corrected tells its previous values, when it goes out, in Original
        Attributes Sequence (0400,0561).
    space : SpaceSettings
        How much room the disks of store and index must have.
    incomplete_index : str
        What `pacs serve` does when the index is missing, empty or half built while the store has
        objects: ``"refuse"`` to start, or ``"serve"`` what it has. Then every answer to a query
        or retrieval says that it may be incomplete, by its status.
    recall_timeout : float
        Seconds without one more object coming online, of those that were recalled from slow media
        for somebody who waits, after which the rest is given up.
    study_quiet_time : float
        Seconds without a change after which a study counts as complete, for plugins that consume
        changes of studies.
    prepare_metadata : bool
        Whether the index keeps the metadata of each instance, if it can, so that those of a
        series are had without reading its objects. They are made in the background.
    keep_received : bool
        Whether what was received is kept beside what was stored, where an ingest filter has
        changed it but not its UIDs; ``pacs archive aside`` lists it, and serves it again.
    """

    store: str | None = None
    index: str | None = None
    duplicates: DuplicatePolicy = DuplicatePolicy.KEEP_FIRST
    durability: Durability = Durability.COMMIT
    journal: bool | None = None
    flush_interval: float = field(default=FLUSH_INTERVAL, validator=gt(0))
    flush_bytes: int = field(default=FLUSH_BYTES, validator=ge(1))
    verify_reads: VerifyReads = VerifyReads.ALWAYS
    original_attributes: bool = True
    space: SpaceSettings = field(factory=SpaceSettings)
    incomplete_index: str = field(default="refuse", validator=in_(("refuse", "serve")))
    recall_timeout: float = field(default=RECALL_TIMEOUT, validator=[gt(0), lt(math.inf)])
    study_quiet_time: float = field(default=STUDY_QUIET_TIME, validator=gt(0))
    prepare_metadata: bool = True
    keep_received: bool = False


@frozen
class AuditSettings:
    """``[audit]``: sinks that must record an operation before it is acknowledged.

    Attributes
    ----------
    required : tuple of str
        Names of audit sinks.
    """

    required: tuple[str, ...] = ()
