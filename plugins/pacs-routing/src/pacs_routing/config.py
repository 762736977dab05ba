"""The table ``[plugin.routing]``."""

from typing import Any, Literal

from attrs import field, frozen
from attrs.validators import and_, deep_iterable, ge, gt, in_, le, matches_re, min_len

from pacs_core.api.conditions import OriginConditions
from pacs_core.contracts import RELOADABLE

_SPAN = r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d"


@frozen
class RuleConfig(OriginConditions):
    """``[plugin.routing.rules.NAME]``: what goes where, in which form, and when.

    Attributes
    ----------
    to : tuple of str
        Names of peers: of ``[peers.NAME]`` tables.
    where : dict of str to str or list
        Conditions on attributes that the index keeps, by keyword, as in a query: wild cards, ranges
        of dates and times, ``""`` for what is empty or absent; of a list one value is enough. All
        of them must hold.
    unless : dict of str to str or list
        Conditions likewise, of which none may hold.
    on : ``"instance"`` or ``"study"``
        Whether each instance goes when it has been stored, or those of a study when that is
        complete.
    whole_study : bool
        With ``on = "study"``: if one instance meets the conditions, all of its study go.
    count : int
        With ``on = "study"``: how many instances that meet the conditions are known to make the
        study whole. It goes as soon as they are there, and what comes later at once; 0 if that is
        not known.
    priority : int
        What has a greater one goes first, and with priority HIGH if it is above 0.
    hours : tuple of str
        When it may be sent, as ``"22:00-06:00"``, by the clock of the machine; empty for always.
    days : tuple of str
        On which days such hours begin, as ``"sat"``; empty for all.
    associations : int
        With how many associations at once; of several rules with one peer the most counts.
        Instances of a study go one after the other all the same.
    ordered : bool
        Whether an instance that the peer refuses for now holds back those of its study that came
        later.
    commit : bool
        Whether the peer is asked to commit to what it was sent (PS3.4 Annex J). What it does not
        commit to is sent again.
    deidentify : str
        Profile by which instances are de-identified on their way, instead of the peer's own.
    """

    to: tuple[str, ...] = field(validator=min_len(1))
    where: dict[str, Any] = field(factory=dict)
    unless: dict[str, Any] = field(factory=dict)
    on: Literal["instance", "study"] = "instance"
    whole_study: bool = False
    count: int = field(default=0, validator=ge(0))
    priority: int = field(default=0, validator=and_(ge(-1000), le(1000)))
    hours: tuple[str, ...] = field(default=(), validator=deep_iterable(matches_re(_SPAN)))
    days: tuple[str, ...] = field(
        default=(),
        validator=deep_iterable(in_(("mon", "tue", "wed", "thu", "fri", "sat", "sun"))),
    )
    associations: int = field(default=1, validator=and_(ge(1), le(16)))
    ordered: bool = False
    commit: bool = False
    deidentify: str = ""

    def __attrs_post_init__(self) -> None:
        for key in ("whole_study", "count"):
            if getattr(self, key) and self.on != "study":
                raise ValueError(f'{key} needs on = "study"')
        if len(set(self.to)) < len(self.to):
            raise ValueError("to: it names a peer twice")


@frozen
class RoutingConfig:
    """``[plugin.routing]``: the rules, and for how long is tried.

    Attributes
    ----------
    rules : dict of str to RuleConfig
        By name.
    first_pause, longest_pause : float
        Seconds after which a peer that is away is tried again: doubled with each attempt, up to the
        longest.
    give_up_after : float
        Days after which what could not be sent is given up.
    refusals : int
        How often a peer may refuse an instance before that is given up. Being out of resources
        (A7xxH) does not count.
    batch : int
        Instances that are sent on one association, after which others with a greater priority have
        their turn.
    keep : float
        Days for which is remembered what was sent.
    """

    rules: dict[str, RuleConfig] = field(factory=dict, metadata=RELOADABLE)
    first_pause: float = field(default=5.0, validator=gt(0))
    longest_pause: float = field(default=300.0, validator=gt(0))
    give_up_after: float = field(default=7.0, validator=gt(0), metadata=RELOADABLE)
    refusals: int = field(default=10, validator=ge(1), metadata=RELOADABLE)
    batch: int = field(default=100, validator=and_(ge(1), le(1000)), metadata=RELOADABLE)
    keep: float = field(default=30.0, validator=gt(0), metadata=RELOADABLE)
