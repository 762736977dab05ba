"""The table ``[plugin.sop-worklist]``."""

from pathlib import Path

from attrs import field, frozen
from attrs.validators import ge, gt, optional

from pacs_core.contracts import RELOADABLE


@frozen
class WorklistConfig:
    """``[plugin.sop-worklist]``: where entries come from, and how long they stay.

    Attributes
    ----------
    folder : Path or None
        A folder of ``.wl`` files, as DCMTK's ``wlmscpfs`` reads it: what is in it, and in its
        folder named like this node's AE title, is on the list.
    poll : float
        Seconds between two looks into the folder.
    own_station_only : bool
        Whether a station is answered with the steps only that name it as Scheduled Station AE
        Title, or no station at all.
    complete_with_study : bool
        Whether a step of which images have come is completed with its study, for modalities
        without MPPS.
    keep_finished, expire : float
        Days after which steps are forgotten that have ended, or that were to begin and did not, or
        did not end.
    max_results : int or None
        More matches are answered with A700H.
    """

    folder: Path | None = None
    poll: float = field(default=2.0, validator=gt(0))
    own_station_only: bool = field(default=False, metadata=RELOADABLE)
    complete_with_study: bool = True
    keep_finished: float = field(default=7.0, validator=ge(0))
    expire: float = field(default=30.0, validator=gt(0))
    max_results: int | None = field(default=None, validator=optional(ge(1)), metadata=RELOADABLE)
