"""The table ``[plugin.sop-ups]``."""

from attrs import field, frozen
from attrs.validators import ge, gt, matches_re, max_len, optional

from pacs_core.contracts import RELOADABLE


@frozen
class UpsConfig:
    """``[plugin.sop-ups]``: what is tolerated, what is kept, and how much.

    Attributes
    ----------
    worklist_label : str
        Of steps that are created without one; the node's AE title unless it is set.
    web_root : str
        Path below the root of the web server, under which ``workitems`` is.
    strict : bool
        Whether a request that breaks PS3.4 Table CC.2.5-3 is refused where it could be put right.
    believe_performer : bool
        Whether whoever claimed a step may change it without its Transaction UID, as some do: they
        are known by their AE title.
    keep_ended : float
        Days after which steps are forgotten that are completed or canceled.
    deletion_locks : bool
        Whether who follows a step may keep it from being forgotten; else they are warned by B301H.
    keep_events : float
        Days after which events are dropped that a receiver has not taken.
    max_results : int or None
        More matches of a query are answered with A700H.
    max_open : int
        Steps at once that have not ended; more are refused with 0213H.
    max_bytes : int
        Of an attribute list; a longer one is refused with 0213H.
    """

    worklist_label: str = field(default="", validator=max_len(64), metadata=RELOADABLE)
    web_root: str = field(default="/dicom-web", validator=matches_re(r"(/[A-Za-z0-9._~-]+)*"))
    strict: bool = field(default=False, metadata=RELOADABLE)
    believe_performer: bool = field(default=False, metadata=RELOADABLE)
    keep_ended: float = field(default=30.0, validator=gt(0), metadata=RELOADABLE)
    deletion_locks: bool = field(default=True, metadata=RELOADABLE)
    keep_events: float = field(default=7.0, validator=gt(0), metadata=RELOADABLE)
    max_results: int | None = field(default=None, validator=optional(ge(1)), metadata=RELOADABLE)
    max_open: int = field(default=100_000, validator=ge(1), metadata=RELOADABLE)
    max_bytes: int = field(default=4 << 20, validator=ge(1024), metadata=RELOADABLE)
