"""The table ``[plugin.sop-mpps]``."""

from attrs import field, frozen
from attrs.validators import ge, gt

from pacs_core.contracts import RELOADABLE


@frozen
class MppsConfig:
    """``[plugin.sop-mpps]``: who is told of performed steps, what is tolerated, what is kept.

    Attributes
    ----------
    forward : tuple of str
        Names of peers to which N-CREATE and N-SET are sent on, in their order, until they take
        them.
    notify : tuple of str
        Names of peers to which changes are reported by N-EVENT-REPORT.
    strict : bool
        Whether a request that breaks PS3.4 Table F.7.2-1 in what modalities are known to do wrong
        is refused; by default that is tolerated.
    completes_studies : bool
        Whether a study is complete at once, without the quiet time of ``[archive]``, when a step of
        it is COMPLETED, none is IN PROGRESS, and all instances that they name are there.
    keep_ended, keep_in_progress : float
        Days without a change after which steps are forgotten that have ended, or have not.
    max_in_progress : int
        Steps in progress at once; more are refused with 0213H.
    max_bytes : int
        Of an attribute list; a longer one is refused with 0213H.
    """

    forward: tuple[str, ...] = field(default=(), metadata=RELOADABLE)
    notify: tuple[str, ...] = field(default=(), metadata=RELOADABLE)
    strict: bool = field(default=False, metadata=RELOADABLE)
    completes_studies: bool = False
    keep_ended: float = field(default=90.0, validator=gt(0), metadata=RELOADABLE)
    keep_in_progress: float = field(default=30.0, validator=gt(0), metadata=RELOADABLE)
    max_in_progress: int = field(default=10_000, validator=ge(1), metadata=RELOADABLE)
    max_bytes: int = field(default=4 << 20, validator=ge(1024), metadata=RELOADABLE)
