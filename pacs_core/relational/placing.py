"""Conditions in the hierarchy: from which table each is asked, and in which order."""

from attrs import frozen

from pacs_core.contracts import (
    AnyOf,
    Condition,
    DateTimeRange,
    Empty,
    Level,
    PersonName,
    Range,
    SequenceMatch,
    SingleValue,
    UidList,
    Wildcard,
)
from pacs_core.relational.catalog import TABLES, UIDS, Attribute
from pacs_core.relational.dialect import Dialect
from pacs_core.relational.fragments import Sql
from pacs_core.relational.tables import LEVELS, chain

# What narrows a search most is asked first. SQLite would guess, knowing no statistics.
_WEIGHTS: dict[type, int] = {
    SingleValue: 1,
    UidList: 1,
    PersonName: 2,
    Wildcard: 2,
    Range: 3,
    DateTimeRange: 3,
    AnyOf: 3,
    SequenceMatch: 5,
    Empty: 6,
}
_UNIQUE = frozenset(UIDS.values())
_COMMON = frozenset({"Modality", "SOPClassUID"})
_COMMON_WEIGHT = 4
NO_INDEX_WEIGHT = 7


@frozen
class PlacedCondition:
    """A condition as SQL on a row of `level`; it holds for a row of `about`, at or above that.

    `needs` is the level of the highest row that the SQL is about, if that is above `about`.
    """

    level: Level
    about: Level
    sql: Sql
    weight: int
    negated: bool = False
    needs: Level | None = None

    @property
    def top(self) -> Level:
        """The highest level that is needed."""
        return self.needs or self.about

    def as_sql(self, dialect: Dialect, first: bool) -> Sql:
        """Return the condition on a row of `about`."""
        if self.level is self.about:
            return self.sql
        below = LEVELS[self.about.depth + 1]
        parent, own = f"{TABLES[below]}.parent", f"{TABLES[self.about]}.id"
        if first:
            # From rows below, by their own index, to those above them.
            inner = chain(dialect, self.level, below, self.level)
            text = f"{own} IN (SELECT {parent} FROM {inner} WHERE {self.sql.text})"  # noqa: S608
        else:
            inner = chain(dialect, self.level, below, below)
            text = f"EXISTS (SELECT 1 FROM {inner} WHERE {parent} = {own} AND {self.sql.text})"  # noqa: S608
        text = f"NOT {text}" if self.negated else text
        return Sql(text, self.sql.parameters, self.sql.functions)


def weight_of(attribute: Attribute, condition: Condition) -> int:
    """Return how late a condition is to be asked: by what narrows a search least."""
    if attribute.keyword in _UNIQUE:
        return 0
    if not attribute.indexed:
        return NO_INDEX_WEIGHT
    return _COMMON_WEIGHT if attribute.keyword in _COMMON else _WEIGHTS[type(condition)]
