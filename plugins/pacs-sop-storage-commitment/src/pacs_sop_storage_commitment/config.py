"""The table ``[plugin.sop-storage-commitment]``."""

from math import inf
from typing import Literal

from attrs import field, frozen
from attrs.validators import ge, gt

from pacs_core.contracts import RELOADABLE


@frozen
class StorageCommitmentConfig:
    """``[plugin.sop-storage-commitment]``: what is looked at, and how long is reported.

    Attributes
    ----------
    check : ``"readable"`` or ``"digest"``
        Whether the object of an instance is opened, or read whole and compared with the digest of
        what was stored.
    wait : float
        Seconds for which the result is reported on the association of the request, if that is
        still there; then on a new one.
    report_for : float
        Days for which a report is tried again while the requestor cannot be reached.
    keep : float
        Days after which transactions that have ended are forgotten.
    protect_for : float
        Days for which what was committed to can be deleted by nobody who does not override that;
        ``inf`` for as long as the archive has it, 0 for not at all.
    max_instances : int
        Instances that one request may name.
    completes_studies : bool
        Whether a study is complete as soon as all that is there of it was committed to, without
        waiting until it was quiet for ``[archive] study_quiet_time``.
    """

    check: Literal["readable", "digest"] = field(default="readable", metadata=RELOADABLE)
    wait: float = field(default=5.0, validator=ge(0), metadata=RELOADABLE)
    report_for: float = field(default=7.0, validator=gt(0))
    keep: float = field(default=90.0, validator=gt(0), metadata=RELOADABLE)
    protect_for: float = field(default=inf, validator=ge(0), metadata=RELOADABLE)
    max_instances: int = field(default=10_000, validator=ge(1), metadata=RELOADABLE)
    completes_studies: bool = False
