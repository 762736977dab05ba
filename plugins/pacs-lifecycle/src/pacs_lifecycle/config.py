"""The table ``[plugin.lifecycle]``."""

import re
from typing import Any, Final, Literal

from attrs import field, frozen
from attrs.validators import deep_iterable, ge, in_, instance_of, matches_re, min_len

from pacs_core.api.conditions import OriginConditions, read_test

NEEDS: Final = ("commitment", "found", "routed")
"""What a rule may need of a peer before it deletes."""
_NEED: Final = re.compile(rf"({'|'.join(NEEDS)}):[^\s:]+")

DELETIONS: Final = ("rules", "commands", "web", "plugins")
"""Who deletes, as the bin tells them apart."""


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
    needs: tuple[str, ...] = field(
        default=(), validator=deep_iterable(matches_re(_NEED), instance_of(tuple))
    )

    def __attrs_post_init__(self) -> None:
        if self.action == "keep" and self.needs:
            raise ValueError('needs are for action = "delete"')
        if self.action == "delete" and not (self.older_than or self.patient_older_than):
            raise ValueError("it would delete what has just come: say older_than")
        for table in (self.where, self.unless):
            for key, value in table.items():
                try:
                    read_test(key, value)
                except ValueError as error:
                    raise ValueError(f"{key}: {error}") from error


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
    """

    rules: tuple[RuleConfig, ...] = field(default=())
    schedule: str = "0 2 * * *"
    grace: float = field(default=7.0, validator=ge(0))
    bin: BinConfig = field(factory=BinConfig)

    def __attrs_post_init__(self) -> None:
        names = [rule.name for rule in self.rules]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"rules: two of them have the name {name!r}")
