"""Conditions of the query model as SQL."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from attrs import define, field, frozen

from pacs_core.contracts import (
    Condition,
    DateTimeRange,
    Empty,
    Level,
    PersonName,
    Query,
    Range,
    SequenceMatch,
    SingleValue,
    UidList,
    Wildcard,
    comparable,
    name_groups,
    range_bounds,
)
from pacs_core.dataset import keyword_of
from pacs_index_sqlite.catalog import (
    IDENTITY,
    TABLES,
    Attribute,
    Catalog,
    Computed,
    json_of,
    number,
)
from pacs_index_sqlite.fragments import (
    ALWAYS,
    NEVER,
    Comparison,
    Sql,
    all_of,
    any_of,
    between,
    equal,
    like,
    one_of,
    starting,
)
from pacs_index_sqlite.names import group_patterns, like_name, sounding
from pacs_index_sqlite.sequences import bounds, sequence_matcher

LEVELS = tuple(Level)


@frozen
class _Placed:
    """A condition as SQL, and the level whose row it is about."""

    level: Level
    sql: Sql
    indexed: bool


def chain(level: Level, top: Level) -> str:
    """Return a FROM clause: the table of `level`, joined with those up to `top`."""
    tables = [TABLES[found] for found in reversed(LEVELS[top.depth : level.depth + 1])]
    joins = (f"JOIN {up} ON {up}.id = {low}.parent" for low, up in itertools.pairwise(tables))
    return " ".join([tables[0], *joins])


@define
class Translator:
    """Translates the conditions of one query."""

    _catalog: Catalog
    _level: Level
    _names: Iterator[int] = field(factory=itertools.count)

    def where(self, query: Query) -> tuple[Sql, Level]:
        """Return the WHERE clause, and the highest level whose table must be joined.

        Raises
        ------
        ValueError
            A condition is about an attribute that the index does not have, or does not fit it.
        """
        placed = [self._placed(condition) for condition in dict.fromkeys(query.conditions)]
        placed = [found for found in placed if found.sql != ALWAYS]
        top = min((p.level for p in placed), key=lambda level: level.depth, default=self._level)
        if top.depth > self._level.depth:
            top = self._level
        # Where nothing else narrows the search, rows below lead to those above them by their own
        # index; otherwise each candidate is asked whether it has such a row below.
        narrowed = any(p.indexed and p.level.depth <= self._level.depth for p in placed)
        return all_of([self._seen_from(self._level, p, not narrowed) for p in placed]), top

    def _seen_from(self, level: Level, placed: _Placed, leading: bool) -> Sql:
        if placed.level.depth <= level.depth:
            return placed.sql
        below = LEVELS[level.depth + 1]
        inner = chain(placed.level, below)
        parent, own = f"{TABLES[below]}.parent", f"{TABLES[level]}.id"
        sql = placed.sql
        if leading:
            text = f"{own} IN (SELECT {parent} FROM {inner} WHERE {sql.text})"  # noqa: S608
        else:
            text = f"EXISTS (SELECT 1 FROM {inner} WHERE {parent} = {own} AND {sql.text})"  # noqa: S608
        return Sql(text, sql.parameters, sql.functions)

    def _placed(self, condition: Condition) -> _Placed:
        tag = condition.date_tag if isinstance(condition, DateTimeRange) else condition.tag
        if computed := self._catalog.computed.get(tag):
            return self._computed(computed, condition)
        attribute = self._attribute(tag)
        sql = _RULES[type(condition)](self, attribute, condition)
        return _Placed(attribute.level, sql, attribute.indexed)

    def _attribute(self, tag: int) -> Attribute:
        try:
            return self._catalog.attributes[tag]
        except KeyError:
            raise ValueError(
                f"the index does not hold {keyword_of(tag)} ({tag:08X}): see searchable_tags()"
            ) from None

    def _computed(self, computed: Computed, condition: Condition) -> _Placed:
        if not computed.of:
            return _Placed(computed.level, _counted(computed, condition), indexed=False)
        attribute = self._catalog.keyword(computed.of)
        empty = isinstance(condition, Empty)
        sql = (
            Sql(f"{_column(attribute)} IS NOT NULL")
            if empty
            else _RULES[type(condition)](self, attribute, condition)
        )
        if sql == ALWAYS:
            return _Placed(computed.level, ALWAYS, indexed=False)
        leading = not empty and self._level.depth <= computed.level.depth
        below = _Placed(attribute.level, sql, attribute.indexed)
        seen = self._seen_from(computed.level, below, leading)
        text = f"NOT {seen.text}" if empty else seen.text
        return _Placed(computed.level, Sql(text, seen.parameters, seen.functions), indexed=leading)

    def _any_value(self, attribute: Attribute, comparison: Comparison) -> Sql:
        """Compare with the value, or each of several (PS3.4 C.2.2.2.8)."""
        if attribute.vr == "UI" or attribute.single or attribute.keyword in IDENTITY:
            return comparison(_column(attribute))
        return compared(attribute, [match.column for match in attribute.matches], comparison)

    def single(self, attribute: Attribute, c: SingleValue) -> Sql:
        """PS3.4 C.2.2.2.1."""
        value: str | int | None = c.value
        if attribute.vr == "PN":
            return self.name(attribute, PersonName(c.tag, name_groups(c.value)))
        if attribute.vr in {"DA", "TM", "DT"}:
            value = comparable(attribute.vr, c.value)
        elif attribute.matches and attribute.matches[0].column.endswith("_number"):
            value = number(c.value)
        if value is None:
            return NEVER
        return self._any_value(attribute, equal(value))

    def uids(self, attribute: Attribute, c: UidList) -> Sql:
        """PS3.4 C.2.2.2.2."""
        return self._any_value(attribute, one_of(json_of(c.uids)))

    def wildcard(self, attribute: Attribute, c: Wildcard) -> Sql:
        """PS3.4 C.2.2.2.4."""
        if not c.pattern.strip("*"):
            return ALWAYS
        if attribute.vr == "PN":
            return self.name(attribute, PersonName(c.tag, name_groups(c.pattern)))
        # A pattern is about the text itself, also of numbers and times.
        return self._any_value(_as_text(attribute), like(c.pattern))

    def range(self, attribute: Attribute, c: Range) -> Sql:
        """PS3.4 C.2.2.2.5."""
        _require(attribute, {"DA", "TM", "DT"})
        if not (c.start or c.end):
            return ALWAYS
        return self._any_value(attribute, between(*range_bounds(attribute.vr, c.start, c.end)))

    def moments(self, attribute: Attribute, c: DateTimeRange) -> Sql:
        """PS3.4 C.2.2.2.5.4."""
        other = self._attribute(c.time_tag)
        _require(attribute, {"DA"})
        _require(other, {"TM"})
        if other.level is not attribute.level:
            raise ValueError(f"{attribute.keyword} and {other.keyword} are of different levels")
        low, high = bounds(c)
        date, time = (f"{a.table}.{a.matches[0].column}" for a in (attribute, other))
        # Where the time is not known, the date decides.
        return all_of(
            (
                between(low[0], high[0])(date),
                Sql(f"({date} > ? OR coalesce({time} >= ?, 1))", low),
                Sql(f"({date} < ? OR coalesce({time} <= ?, 1))", high),
            )
        )

    def name(self, attribute: Attribute, c: PersonName) -> Sql:
        """PS3.5 §6.2.1.2, PS3.4 C.2.2.2.1."""
        _require(attribute, {"PN"})
        wanted = group_patterns(c.groups)
        if not wanted:
            return ALWAYS
        columns = [match.column for match in attribute.matches]
        if len(c.groups) == 1:
            literal = compared(attribute, columns, like_name(wanted[0]))
        else:
            literal = all_of(
                [compared(attribute, [columns[n]], like_name(p)) for n, p in wanted.items()]
            )
        if not (c.fuzzy and attribute.sounds_indexed and 0 in wanted):
            return literal
        alike = [_sounds(attribute, key) for key in sounding(wanted[0])]
        return any_of((literal, all_of(alike))) if alike else literal

    def sequence(self, attribute: Attribute, c: SequenceMatch) -> Sql:
        """PS3.4 C.2.2.2.6."""
        _require(attribute, {"SQ"})
        if not c.conditions:
            return ALWAYS
        name = f"items_match_{next(self._names)}"
        column = _column(attribute)
        text = f"({column} IS NOT NULL AND {name}({column}))"
        return Sql(text, (), ((name, sequence_matcher(c.conditions)),))

    def empty(self, attribute: Attribute, _: Empty) -> Sql:
        """PS3.4 C.2.2.2.7."""
        column = _column(attribute)
        return Sql(f"({column} IS NULL OR {column} = '')")


_RULES: dict[type, Callable[[Translator, Attribute, Any], Sql]] = {
    SingleValue: Translator.single,
    UidList: Translator.uids,
    Wildcard: Translator.wildcard,
    Range: Translator.range,
    DateTimeRange: Translator.moments,
    PersonName: Translator.name,
    SequenceMatch: Translator.sequence,
    Empty: Translator.empty,
}


def _column(attribute: Attribute) -> str:
    return f"{attribute.table}.{attribute.keyword}"


def _require(attribute: Attribute, allowed: set[str]) -> None:
    if attribute.vr not in allowed:
        raise ValueError(
            f"{attribute.keyword} ({attribute.vr}) cannot be matched like {'/'.join(allowed)}"
        )


def _as_text(attribute: Attribute) -> Attribute:
    return Attribute(attribute.tag, attribute.keyword, "LO", attribute.level, attribute.indexed)


def compared(attribute: Attribute, columns: list[str], comparison: Comparison) -> Sql:
    """Compare with some columns of an attribute, or the rows of `several` for them."""
    table = attribute.table
    whole = [comparison(f"{table}.{column}") for column in columns]
    if columns == [attribute.keyword]:
        # The text of several values together is no value.
        whole = [all_of((whole[0], Sql(f"instr({table}.{columns[0]}, '\\') = 0")))]
    return any_of((*whole, *(_in_several(attribute, column, comparison) for column in columns)))


def _in_several(attribute: Attribute, match: str, comparison: Comparison) -> Sql:
    found = comparison("value")
    text = f"{attribute.table}.id IN (SELECT owner FROM several WHERE match = ? AND {found.text})"  # noqa: S608
    return Sql(text, (match, *found.parameters))


def _sounds(attribute: Attribute, key: str) -> Sql:
    comparison = starting(key[:-1]) if key.endswith("*") else equal(key)
    return _in_several(attribute, attribute.sound, comparison)


def _counted(computed: Computed, condition: Condition) -> Sql:
    if isinstance(condition, SingleValue) and (value := number(condition.value)) is not None:
        return Sql(f"{count(computed)} = ?", (value,))
    raise ValueError(f"{keyword_of(computed.tag)} can be matched with one number only")


def below(computed: Computed) -> str:
    """Return FROM and WHERE of the rows that a computed attribute is about."""
    first = LEVELS[computed.level.depth + 1]
    inner = chain(computed.counts, first)
    return f"FROM {inner} WHERE {TABLES[first]}.parent = {TABLES[computed.level]}.id"


def count(computed: Computed) -> str:
    """Return the scalar query for a number of related entities."""
    return f"(SELECT count(*) {below(computed)})"
