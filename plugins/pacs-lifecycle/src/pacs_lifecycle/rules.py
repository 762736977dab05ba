"""Rules, as pure functions of what is known of a study."""

import calendar
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime
from typing import Final

from attrs import field, frozen

from pacs_core.api.conditions import AttributeTest, read_test
from pacs_core.contracts import AllOf, Either, Restriction
from pacs_lifecycle.config import RuleConfig

DAY: Final = 24 * 3600.0


@frozen
class Rule:
    """A rule of the configuration, its conditions read.

    Attributes
    ----------
    config : RuleConfig
    where, unless : tuple of AttributeTest
    """

    config: RuleConfig
    where: tuple[AttributeTest, ...]
    unless: tuple[AttributeTest, ...]

    @classmethod
    def read(cls, config: RuleConfig) -> "Rule":
        """Return the rule that a table states."""
        where, unless = (
            tuple(read_test(*item) for item in table.items())
            for table in (config.where, config.unless)
        )
        return cls(config, where, unless)

    @property
    def name(self) -> str:
        """As the configuration has it."""
        return self.config.name

    @property
    def deletes(self) -> bool:
        """Whether it deletes what it is about."""
        return self.config.action == "delete"

    @property
    def wanted(self) -> Restriction:
        """What some instance of a study must be like."""
        return AllOf(tuple(each for test in self.where for each in test.conditions))

    @property
    def unwanted(self) -> Restriction:
        """What no instance of a study may be like."""
        return Either(tuple(AllOf(test.conditions) for test in self.unless))


@frozen
class Study:
    """A study, as far as rules ask for it.

    Attributes
    ----------
    uid : str
    arrived : float
        When its last instance came, in seconds since 1970.
    complete : bool
    study_date, birth_date : date or None
        None if it has none, or none that can be read.
    meets : collection of str
        Names of the rules whose conditions on attributes and origin hold.
    """

    uid: str
    arrived: float
    complete: bool = True
    study_date: date | None = None
    birth_date: date | None = None
    meets: Collection[str] = field(factory=frozenset)


def choose(rules: Sequence[Rule], study: Study, now: float, grace: float) -> Rule | None:
    """Return the first rule that a study meets; None if none does.

    Parameters
    ----------
    rules : sequence of Rule
    study : Study
    now : float
        In seconds since 1970; what day that is, is told in UTC.
    grace : float
        Days after its arrival in which no rule deletes a study.
    """
    for rule in rules:
        if rule.name in study.meets and is_of_age(rule.config, study, now):
            is_settled = study.complete and now - study.arrived >= grace * DAY
            return rule if is_settled or not rule.deletes else None
    return None


def is_of_age(config: RuleConfig, study: Study, now: float) -> bool:
    """Tell whether study and patient are as old as a rule says."""
    today = datetime.fromtimestamp(now, UTC).date()
    if config.patient_older_than and (
        study.birth_date is None
        or today < _years_after(study.birth_date, config.patient_older_than)
    ):
        return False
    if not config.older_than:
        return True  # also of what came a moment ago by a clock that was set back since
    if config.age == "arrival":
        return now - study.arrived >= config.older_than * DAY
    return study.study_date is not None and (today - study.study_date).days >= config.older_than


def read_date(text: str) -> date | None:
    """Return a value of VR DA (PS3.5 Table 6.2-1); None if it is none."""
    try:
        return datetime.strptime(text.strip(), "%Y%m%d").date()
    except ValueError:
        return None


def _years_after(day: date, years: float) -> date:
    """Return a birthday; one who was born on 29 February has it on 1 March in other years."""
    year = day.year + int(years)
    month, number = day.month, day.day
    if (month, number) == (2, 29) and not calendar.isleap(year):
        month, number = 3, 1
    if year > date.max.year:
        return date.max
    return date.fromordinal(
        min(date(year, month, number).toordinal() + int(years % 1 * 365.25), date.max.toordinal())
    )
