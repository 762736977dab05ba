"""The tables ``[stores.NAME]`` of ``type = "tiered"``, and ``[plugin.store-tiered]``."""

from pathlib import Path
from typing import Final

from attrs import field, frozen
from attrs.validators import and_, deep_iterable, ge, in_, instance_of, le

from pacs_core.contracts import StoreName

TIERS: Final = ("hot", "warm", "cold")
"""From the one that takes what comes to the one that is asked last."""

_LOWER = deep_iterable(in_(TIERS[1:]), instance_of(tuple))


@frozen
class TieredConfig:
    """``[stores.NAME]`` of ``type = "tiered"``: which stores are the tiers.

    They must make the same keys. A file system with the default layout and a bucket do.

    Attributes
    ----------
    hot : StoreName
        Takes what comes.
    warm, cold : StoreName or None
        Take what policies move there; one of the two at least.
    nearline : tuple of str
        Tiers from which nobody reads directly: an object is copied to `hot` first, and is
        ``NEARLINE`` until then. For tapes, and for stores by which each reading is paid.
    offline : tuple of str
        Tiers whose medium is away: they are not asked at all. What no other tier has is
        ``OFFLINE``, and nothing can be deleted, until the tier is back.
    locks : Path or None
        Directory for locks, by which no object moves while somebody stores another under its key.
        None for one in the store's directory, which does for one machine; several machines that
        share their tiers need one on a file system that they share as well.

    Raises
    ------
    ValueError
        There is no lower tier, or one is named that is not configured.
    """

    hot: StoreName
    warm: StoreName | None = None
    cold: StoreName | None = None
    nearline: tuple[str, ...] = field(default=(), validator=_LOWER)
    offline: tuple[str, ...] = field(default=(), validator=_LOWER)
    locks: Path | None = None

    def __attrs_post_init__(self) -> None:
        if len(self.names) < 2:
            raise ValueError("a tiered store needs `warm` or `cold` beside `hot`")
        for name in (*self.nearline, *self.offline):
            if name not in self.names:
                raise ValueError(f"there is no tier {name!r}: name its store with `{name}`")

    @property
    def names(self) -> dict[str, StoreName]:
        """The stores by tier, in the order of the tiers."""
        stores = zip(TIERS, (self.hot, self.warm, self.cold), strict=True)
        return {tier: store for tier, store in stores if store is not None}


@frozen
class PolicyConfig:
    """``[[plugin.store-tiered.policies]]``: where objects go that meet all of its conditions.

    The first policy that an object meets decides. One with ``to = "hot"`` keeps what it is about
    from those that follow.

    Attributes
    ----------
    to : str
        ``"hot"``, ``"warm"`` or ``"cold"``. Nothing moves upwards but by recall.
    older_than : float
        Days since the last instance of its study came.
    younger_than : float
        Days since then; 0 for any.
    unused_for : float
        Days since anything of its study was read, or came.
    larger_than, smaller_than : int
        Bytes; 0 for any.
    modalities : tuple of str
        Modality (0008,0060) of its series; empty for any.
    sop_classes : tuple of str
        SOP Class UIDs; empty for any.
    incomplete : bool
        Also of studies that are not said to be complete, after ``[archive] study_quiet_time``.
    free_below : float
        Only while less than this part of the file system of its tier is free, what was not used for
        longest first: 0.2 for 20 %; 0 for however much is free. Buckets have no bounds.
    """

    to: str = field(validator=in_(TIERS))
    older_than: float = field(default=0.0, validator=ge(0))
    younger_than: float = field(default=0.0, validator=ge(0))
    unused_for: float = field(default=0.0, validator=ge(0))
    larger_than: int = field(default=0, validator=ge(0))
    smaller_than: int = field(default=0, validator=ge(0))
    modalities: tuple[str, ...] = ()
    sop_classes: tuple[str, ...] = ()
    incomplete: bool = False
    free_below: float = field(default=0.0, validator=and_(ge(0), le(1)))


@frozen
class TieringConfig:
    """``[plugin.store-tiered]``: what moves between tiers, and when.

    Attributes
    ----------
    policies : tuple of PolicyConfig
        In order. Without any, nothing moves by itself, and nobody notes what is read.
    schedule : str
        When the job of migration begins, as a cron expression.
    rate : float
        Megabytes a second that a migration reads at most; 0 for as fast as it can.
    keep_recalled : float
        Days for which the policies leave a study alone that was recalled or read, however old.
    """

    policies: tuple[PolicyConfig, ...] = ()
    schedule: str = "0 1 * * *"
    rate: float = field(default=0.0, validator=ge(0))
    keep_recalled: float = field(default=1.0, validator=ge(0))
