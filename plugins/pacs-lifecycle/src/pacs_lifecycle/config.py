"""The table ``[plugin.lifecycle]``."""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

from attrs import field, frozen
from attrs.validators import deep_iterable, ge, in_, instance_of, matches_re, min_len

from pacs_core.api.conditions import OriginConditions, read_test
from pacs_core.contracts import RELOADABLE

NEEDS: Final = ("commitment", "found", "routed")
"""What a rule may need of a peer before it deletes."""
_SPAN: Final = r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d"
_NEED: Final = re.compile(rf"({'|'.join(NEEDS)}):[^\s:]+")

DELETIONS: Final = ("rules", "commands", "web", "plugins")
"""Who deletes, as the bin tells them apart."""


def _needs() -> Any:
    return field(default=(), validator=deep_iterable(matches_re(_NEED), instance_of(tuple)))


def _check_conditions(*tables: Mapping[str, Any]) -> None:
    for table in tables:
        for key, value in table.items():
            try:
                read_test(key, value)
            except ValueError as error:
                raise ValueError(f"{key}: {error}") from error


@frozen
class RuleConfig(OriginConditions):
    """``[[plugin.lifecycle.rules]]``: which studies are kept for how long.

    The first rule that a study meets, in all of its conditions, decides. One with
    ``action = "keep"`` keeps what it is about from those that follow.

    Attributes
    ----------
    name : str
        For the plan and the audit trail.
    action : ``"delete"`` or ``"keep"``
    where : dict of str to str or list
        Conditions on attributes that the index keeps, by keyword, as in a query: wild cards, ranges
        of dates and times, ``""`` for what is empty or absent; of a list one value is enough. Some
        instance of the study must meet all of them.
    unless : dict of str to str or list
        Conditions likewise, of which no instance of the study may meet any.
    older_than : float
        Days; see `age`.
    age : ``"study-date"`` or ``"arrival"``
        Since when: Study Date (0008,0020), or when the last instance of the study came. A study
        without a date meets no rule that asks for the age by it.
    patient_older_than : float
        Years since Patient's Birth Date (0010,0030), for what is kept until patients are of age; 0
        for any. Who has no birth date does not meet it.
    when : ``"always"`` or ``"low-room"``
        Whether it is applied only while there is less room than `clean_below` of
        ``[plugin.lifecycle.room]``; such a rule needs no `older_than`.
    needs : tuple of str
        What must hold besides, of ``action = "delete"``: ``"commitment:PEER"``, the peer commits to
        all instances when it is asked (PS3.4 Annex J); ``"found:PEER"``, it finds all of them by
        C-FIND; ``"routed:PEER"``, ``pacs-routing`` has sent all of them there.
    """

    name: str = field(validator=matches_re(r"[\w. -]{1,64}"))
    action: Literal["delete", "keep"] = "delete"
    where: dict[str, Any] = field(factory=dict)
    unless: dict[str, Any] = field(factory=dict)
    older_than: float = field(default=0.0, validator=ge(0))
    age: Literal["study-date", "arrival"] = "study-date"
    patient_older_than: float = field(default=0.0, validator=ge(0))
    when: Literal["always", "low-room"] = "always"
    needs: tuple[str, ...] = _needs()

    def __attrs_post_init__(self) -> None:
        if self.action == "keep" and self.needs:
            raise ValueError('needs are for action = "delete"')
        if self.action == "keep" and self.when == "low-room":
            raise ValueError('when is for action = "delete"')
        has_age = self.older_than or self.patient_older_than or self.when == "low-room"
        if self.action == "delete" and not has_age:
            raise ValueError("it would delete what has just come: say older_than")
        _check_conditions(self.where, self.unless)


@frozen
class BinConfig:
    """``[plugin.lifecycle.bin]``: where what is deleted waits.

    Attributes
    ----------
    keep : float
        Days for which it can be had back; 0 for no bin: then it is gone at once.
    deletions : tuple of str
        Whose deletions go into it: those of ``"rules"``, of ``"commands"`` such as ``pacs delete``,
        of the ``"web"`` (DICOMweb, ``/api``, pages), and of ``"plugins"``.
    schedule : str
        When what has waited long enough is removed, as a cron expression.
    """

    keep: float = field(default=30.0, validator=ge(0))
    deletions: tuple[str, ...] = field(
        default=("rules",),
        validator=[min_len(1), deep_iterable(in_(DELETIONS), instance_of(tuple))],
    )
    schedule: str = "23 * * * *"


@frozen
class RoomConfig:
    """``[plugin.lifecycle.room]``: what is done before the disks of the store are full.

    Attributes
    ----------
    clean_below : int
        Bytes: with less than so much free, room is made: first what has been in the bin for longest
        is removed for good, then the oldest studies go by the rules, those with
        ``when = "low-room"`` too. 0 for never. More than ``[archive.space] minimum``, with which
        nothing is stored any more.
    clean_until : int
        Bytes that are to be free then; 0 for `clean_below`.
    """

    clean_below: int = field(default=0, validator=ge(0))
    clean_until: int = field(default=0, validator=ge(0))

    def __attrs_post_init__(self) -> None:
        if self.clean_until and self.clean_until < self.clean_below:
            raise ValueError("clean_until is less than clean_below")

    @property
    def wanted(self) -> int:
        """Bytes that are to be free once room was made."""
        return max(self.clean_below, self.clean_until)


@frozen
class QuotaConfig(OriginConditions):
    """``[plugin.lifecycle.quotas.NAME]``: how much there may be of what meets its conditions.

    Attributes
    ----------
    where : dict of str to str or list
        Conditions on the attributes of instances, as of rules.
    bytes : int
        That the objects may have; 0 for any number.
    studies : int
        In which such instances may be; 0 for any number.
    over : ``"warn"``, ``"refuse"`` or ``"clean"``
        What follows when there is more: a warning; a refusal of what would add to it, with A700H,
        Out of Resources (PS3.4 B.2.3); or the oldest studies go that may be deleted, and are not
        kept by a rule.
    needs : tuple of str
        What must hold of a study that goes so, as of rules.
    """

    where: dict[str, Any] = field(factory=dict)
    bytes: int = field(default=0, validator=ge(0))
    studies: int = field(default=0, validator=ge(0))
    over: Literal["warn", "refuse", "clean"] = "warn"
    needs: tuple[str, ...] = _needs()

    def __attrs_post_init__(self) -> None:
        if not (self.bytes or self.studies):
            raise ValueError("say how much there may be: bytes or studies")
        if self.needs and self.over != "clean":
            raise ValueError('needs are for over = "clean"')
        _check_conditions(self.where)


@frozen
class ScrubConfig:
    """``[plugin.lifecycle.scrub]``: objects that are read again, and compared with their digests.

    Attributes
    ----------
    every : float
        Days after which all is read again; 0 for never.
    rate : float
        Megabytes that are read in a second at most; 0 for as many as the disks give.
    hours : tuple of str
        When it is read, as ``"22:00-06:00"``, by the clock of the machine; empty for always.
    mend_from : tuple of str
        Names of peers that are asked for what is damaged here, one after the other: by C-GET, or
        where a peer has `dicomweb` and no AE title, by DICOMweb.
    mend_from_backup : str
        Folder of backups (`pacs backup create`) that is looked into before; empty for none.
    schedule : str
        When is looked whether to begin or to go on, as a cron expression.
    """

    every: float = field(default=0.0, validator=ge(0))
    rate: float = field(default=20.0, validator=ge(0))
    hours: tuple[str, ...] = field(default=(), validator=deep_iterable(matches_re(_SPAN)))
    mend_from: tuple[str, ...] = ()
    mend_from_backup: str = ""
    schedule: str = "7 * * * *"


@frozen
class CheckConfig:
    """``[plugin.lifecycle.check]``: index and store that are compared.

    Attributes
    ----------
    schedule : str
        When, as a cron expression; empty for never.
    """

    schedule: str = ""


@frozen
class PrefetchConfig:
    """``[plugin.lifecycle.prefetch.NAME]``: which priors are fetched from other archives, and when.

    Attributes
    ----------
    peers : tuple of str
        Names of peers that are asked, by C-FIND; or where a peer has `dicomweb` and no AE title, by
        DICOMweb.
    on : ``"order"`` or ``"study"``
        For each step of the worklist that is to begin within `ahead` days; or when the first
        instance of a study comes whose date is today's or yesterday's.
    where : dict of str to str or list
        Conditions on the attributes of the step of the worklist, or of the study that comes.
    modalities : tuple of str
        Of the priors; empty for any.
    same_modality : bool
        Whether priors have the modality of what is ordered.
    same_body_part : bool
        Whether a prior has a series of the Body Part Examined (0018,0015) of what is ordered. Where
        one of the two does not say, it counts as the same.
    count : int
        So many priors at most, the latest first.
    max_age : float
        Days that a prior may be old; 0 for any.
    ahead : float
        Days, of ``on = "order"``.
    retrieve : ``"move"`` or ``"get"``
        By C-MOVE, for which the peer has to know this node's AE title and address; or by C-GET. A
        server of DICOMweb is asked by a Retrieve transaction.
    """

    peers: tuple[str, ...] = field(validator=min_len(1))
    on: Literal["order", "study"] = "order"
    where: dict[str, Any] = field(factory=dict)
    modalities: tuple[str, ...] = ()
    same_modality: bool = False
    same_body_part: bool = False
    count: int = field(default=3, validator=ge(1))
    max_age: float = field(default=0.0, validator=ge(0))
    ahead: float = field(default=1.0, validator=ge(0))
    retrieve: Literal["move", "get"] = "move"

    def __attrs_post_init__(self) -> None:
        _check_conditions(self.where)


@frozen
class LifecycleConfig:
    """``[plugin.lifecycle]``: what is kept for how long.

    Attributes
    ----------
    rules : tuple of RuleConfig
        In order. Without any, nothing is deleted by itself.
    schedule : str
        When the rules are applied, as a cron expression.
    grace : float
        Days since the last instance of a study came, or since it was restored, in which no rule
        deletes it: also what is old by its date.
    bin : BinConfig
    room : RoomConfig
    scrub : ScrubConfig
    check : CheckConfig
    quotas : dict of str to QuotaConfig
        By name.
    prefetch : dict of str to PrefetchConfig
        By name.
    """

    rules: tuple[RuleConfig, ...] = field(default=(), metadata=RELOADABLE)
    schedule: str = "0 2 * * *"
    grace: float = field(default=7.0, validator=ge(0), metadata=RELOADABLE)
    bin: BinConfig = field(factory=BinConfig)
    room: RoomConfig = field(factory=RoomConfig)
    scrub: ScrubConfig = field(factory=ScrubConfig)
    check: CheckConfig = field(factory=CheckConfig)
    quotas: dict[str, QuotaConfig] = field(factory=dict)
    prefetch: dict[str, PrefetchConfig] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        for name in self.quotas:
            if not re.fullmatch(r"[\w.-]{1,40}", name):
                raise ValueError(f"quotas: {name!r} is no name: up to 40 letters and digits")
        names = [rule.name for rule in self.rules]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"rules: two of them have the name {name!r}")

    @property
    def follows_studies(self) -> bool:
        """Whether anything asks when studies came."""
        return bool(self.rules or self.quotas or self.scrub.every)

    @property
    def finds_faults(self) -> bool:
        """Whether anything looks for faults."""
        return bool(self.scrub.every or self.check.schedule)
