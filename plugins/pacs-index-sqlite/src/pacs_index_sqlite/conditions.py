"""Conditions of the query model as SQL."""

import itertools
from collections.abc import Callable, Iterator, Set
from typing import Any

from attrs import define, evolve, field, frozen

from pacs_core.contracts import (
    MOMENT_VRS,
    NUMBER_VRS,
    TIMEZONE_OFFSET,
    AnyOf,
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
    days_around,
    is_within,
    name_groups,
    number_of,
    range_bounds,
    timezone_of,
)
from pacs_core.dataset import keyword_of
from pacs_index_sqlite.catalog import (
    IDENTITY,
    ZONES,
    Attribute,
    Catalog,
    Computed,
    json_of,
    number,
)
from pacs_index_sqlite.fragments import (
    ALWAYS,
    Comparison,
    Sql,
    all_of,
    any_of,
    equal,
    in_range,
    like,
    one_of,
    one_of_text,
    with_prefix,
)
from pacs_index_sqlite.names import group_patterns, like_name, sound_keys
from pacs_index_sqlite.placing import NO_INDEX_WEIGHT, PlacedCondition, weight_of
from pacs_index_sqlite.sequences import sequence_matcher
from pacs_index_sqlite.tables import (
    column_of,
    compare,
    compare_several,
    count,
    header_of,
    shown,
    varies,
)


@frozen
class Where:
    """A WHERE clause, the highest table that it needs, and the one to begin with."""

    sql: Sql
    top: Level
    first: Level


@define
class Translator:
    """Translates the conditions of one query."""

    _catalog: Catalog
    _level: Level
    _names: Iterator[int] = field(factory=itertools.count)
    _restricted: bool = field(default=False, init=False)

    def where(self, query: Query) -> Where:
        """Return the WHERE clause.

        Under restrictions it is about the tables of :mod:`.restrictions`.

        Raises
        ------
        ValueError
            A condition is about an attribute that the index does not have, or does not fit it.
        """
        self._restricted = bool(query.restrictions)
        found = [self._place(condition) for condition in dict.fromkeys(query.conditions)]
        placed = [p for p in found if p.sql != ALWAYS]
        if not placed:
            return Where(ALWAYS, self._level, self._level)
        first = min(placed, key=lambda p: (p.weight, p.about.depth))
        top = min((p.about for p in placed), key=lambda level: level.depth)
        sql = all_of([p.as_sql(p is first and not p.negated) for p in placed])
        return Where(sql, min(top, self._level, key=lambda level: level.depth), first.about)

    def _place(self, condition: Condition) -> PlacedCondition:
        if computed := self._catalog.computed.get(condition.tag):
            return self._place_computed(computed, condition)
        attribute = self.attribute(condition.tag)
        about = min(attribute.kept, self._level, key=lambda level: level.depth)
        if (
            isinstance(condition, Empty)
            and attribute.level.depth <= about.depth < attribute.kept.depth
        ):
            return self._without(attribute, about)
        sql = self._in_any(attribute, condition)
        return PlacedCondition(attribute.kept, about, sql, weight_of(attribute, condition))

    def holds(self, condition: Condition) -> Sql:
        """Return whether a condition holds for a row of `instance` and those above it.

        It is about the attributes of this one instance: where the instances of a study or series
        differ, those are in the table of variants, under the number of its header.

        Raises
        ------
        ValueError
            It is about an attribute that the index does not store.
        """
        attribute, rule = self.attribute(condition.tag), _RULES[type(condition)]
        sql, varying = rule(self, attribute, condition), attribute.varying
        if varying is None:
            return sql
        own, header = rule(self, varying, condition), header_of(attribute.kept)
        variant = f"main.{varying.table} AS {varying.table} WHERE {varying.table}.id = {header}"
        text = (
            f"CASE WHEN EXISTS (SELECT 1 FROM {variant}) "  # noqa: S608
            f"THEN EXISTS (SELECT 1 FROM {variant} AND {own.text}) ELSE {sql.text} END"
        )
        return Sql(text, own.parameters + sql.parameters, own.functions + sql.functions)

    def _without(self, attribute: Attribute, about: Level) -> PlacedCondition:
        """Whether nothing below has a value."""
        sql = Sql(f"{shown(attribute, restricted=self._restricted)} IS NOT NULL")
        return PlacedCondition(attribute.kept, about, sql, NO_INDEX_WEIGHT, negated=True)

    def _in_any(self, attribute: Attribute, condition: Condition) -> Sql:
        """Compare with what an entity shows, and with what else its instances have."""
        rule = _RULES[type(condition)]
        sql = rule(self, attribute, condition)
        varying = attribute.varying
        if varying is None or sql == ALWAYS:
            return sql
        if isinstance(condition, Empty) and not self._restricted:
            return sql
        if isinstance(condition, Empty):
            value = shown(attribute, restricted=self._restricted)
            return Sql(f"coalesce({value}, '') = ''")
        found = rule(self, varying, condition)
        if self._restricted:
            # What an entity shows may be what an instance has that does not exist.
            sql = all_of((sql, Sql(f"NOT {varies(attribute)}")))
        table, others = attribute.table, f"SELECT parent FROM {varying.table} WHERE {found.text}"  # noqa: S608
        if isinstance(condition, PersonName) and len(group_patterns(condition.groups)) > 1:
            # SQLite finds no index for alternatives within what are alternatives themselves.
            text = f"{table}.id IN (SELECT id FROM {table} WHERE {sql.text} UNION ALL {others})"  # noqa: S608
            return Sql(text, (*sql.parameters, *found.parameters), sql.functions + found.functions)
        text = f"{table}.id IN ({others})"
        return any_of((sql, Sql(text, found.parameters, found.functions)))

    def _place_computed(self, computed: Computed, condition: Condition) -> PlacedCondition:
        about = min(computed.level, self._level, key=lambda level: level.depth)
        if not computed.of:
            sql = _compare_count(computed, condition)
            return PlacedCondition(computed.level, about, sql, NO_INDEX_WEIGHT)
        attribute = self._catalog.keyword(computed.of)
        if isinstance(condition, Empty):
            return self._without(attribute, about)
        sql = self._in_any(attribute, condition)
        return PlacedCondition(attribute.kept, about, sql, weight_of(attribute, condition))

    def attribute(self, tag: int) -> Attribute:
        """Return the attribute that conditions on a tag are about.

        Raises
        ------
        ValueError
            The index does not store it.
        """
        try:
            return self._catalog.attributes[tag]
        except KeyError:
            raise ValueError(
                f"the index does not hold {keyword_of(tag)} ({tag:08X}): see searchable_tags()"
            ) from None

    def _any_value(self, attribute: Attribute, comparison: Comparison) -> Sql:
        """Compare with the value, or each of several (PS3.4 C.2.2.2.8)."""
        if attribute.vr == "UI" or attribute.single or attribute.keyword in IDENTITY:
            return comparison(column_of(attribute))
        return compare(attribute, [match.column for match in attribute.matches], comparison)

    def single(self, attribute: Attribute, c: SingleValue) -> Sql:
        """PS3.4 C.2.2.2.1."""
        if attribute.vr == "PN":
            return self.name(attribute, PersonName(c.tag, name_groups(c.value)))
        if attribute.vr in MOMENT_VRS:
            return self.range(attribute, Range(c.tag, c.value, c.value))
        if attribute.vr not in NUMBER_VRS:
            return self._any_value(attribute, equal(c.value))
        if attribute.vr != "DS" and (value := number(c.value)) is not None:
            return self._any_value(attribute, equal(value))
        wanted = number_of(c.value)
        if wanted is None:
            return one_of_text(c.value)(column_of(attribute))
        return self._apply_test(
            column_of(attribute), lambda text: wanted in map(number_of, text.split("\\"))
        )

    def _apply_test(self, sql: str, test: Callable[[str], bool]) -> Sql:
        """Have a function of ours test a text that is not NULL."""
        name = f"meets_{next(self._names)}"
        text = f"({sql} IS NOT NULL AND {name}({sql}))"
        # SQLite may call it first: the order of what is joined by AND is its own.
        return Sql(text, (), ((name, lambda found: found is not None and test(str(found))),))

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
        return self._any_value(
            (attribute if attribute.single else evolve(attribute, vr="LO")),
            like(c.pattern, self._names),
        )

    def range(self, attribute: Attribute, c: Range) -> Sql:
        """PS3.4 C.2.2.2.5."""
        _require(attribute, MOMENT_VRS)
        if not (c.start or c.end):
            return ALWAYS
        bounds = range_bounds(attribute.vr, c.start, c.end, c.offset)
        return any_of([self._any_value(attribute, in_range(*each)) for each in bounds])

    def moments(self, attribute: Attribute, c: DateTimeRange) -> Sql:
        """PS3.4 C.2.2.2.5.4, C.2.2.2.5.2."""
        other = self.attribute(c.time_tag)
        _require(attribute, {"DA"})
        _require(other, {"TM"})
        if other.level is not attribute.level:
            raise ValueError(f"{attribute.keyword} and {other.keyword} are of different levels")
        zone = ZONES.get(attribute.level)
        others = [evolve(each, is_variant=attribute.is_variant) for each in (other, zone) if each]
        columns = [column_of(each) for each in (attribute, *others)]
        # One text, for a function takes one value: the first values of date, time and offset.
        joined = " || char(10) || ".join(f"coalesce({column}, '')" for column in columns)

        def test(text: str) -> bool:
            date, time, offset = ([part.split("\\")[0] for part in text.split("\n")] + [""] * 3)[:3]
            return is_within(c, date, time, timezone_of({TIMEZONE_OFFSET: (offset,)}))

        exact = self._apply_test(f"({joined})", test)
        if not (c.start_date or c.end_date):
            return exact
        days = in_range(*days_around(c))(f"{attribute.table}.{attribute.matches[0].column}")
        return all_of((days, exact))

    def name(self, attribute: Attribute, c: PersonName) -> Sql:
        """PS3.5 §6.2.1.2, PS3.4 C.2.2.2.1."""
        _require(attribute, {"PN"})
        wanted = group_patterns(c.groups)
        if not wanted:
            return ALWAYS
        columns = [match.column for match in attribute.matches]
        if len(c.groups) == 1:
            literal = compare(attribute, columns, like_name(wanted[0], self._names))
        else:
            literal = all_of(
                [
                    compare(attribute, [columns[n]], like_name(p, self._names))
                    for n, p in wanted.items()
                ]
            )
        if not (c.fuzzy and attribute.sounds_indexed and 0 in wanted):
            return literal
        alike = [
            compare_several(
                attribute,
                attribute.sound,
                with_prefix(key[:-1]) if key.endswith("*") else equal(key),
            )
            for key in sound_keys(wanted[0])
        ]
        return any_of((literal, all_of(alike))) if alike else literal

    def sequence(self, attribute: Attribute, c: SequenceMatch) -> Sql:
        """PS3.4 C.2.2.2.6."""
        _require(attribute, {"SQ"})
        if not c.conditions:
            return ALWAYS
        zone = column_of(ZONES[attribute.level]) if attribute.level in ZONES else "NULL"
        text = f"(coalesce({zone}, '') || char(10) || {column_of(attribute)})"
        return self._apply_test(text, sequence_matcher(c.conditions))

    def empty(self, attribute: Attribute, _: Empty) -> Sql:
        """PS3.4 C.2.2.2.7."""
        column = column_of(attribute)
        return Sql(f"({column} IS NULL OR {column} = '')")

    def several(self, attribute: Attribute, c: AnyOf) -> Sql:
        """PS3.4 C.2.2.2.8."""
        return any_of([_RULES[type(each)](self, attribute, each) for each in c.conditions])


_RULES: dict[type, Callable[[Translator, Attribute, Any], Sql]] = {
    SingleValue: Translator.single,
    UidList: Translator.uids,
    Wildcard: Translator.wildcard,
    Range: Translator.range,
    DateTimeRange: Translator.moments,
    PersonName: Translator.name,
    SequenceMatch: Translator.sequence,
    Empty: Translator.empty,
    AnyOf: Translator.several,
}


def _require(attribute: Attribute, allowed: Set[str]) -> None:
    if attribute.vr not in allowed:
        raise ValueError(
            f"{attribute.keyword} ({attribute.vr}) cannot be matched like {'/'.join(allowed)}"
        )


def _compare_count(computed: Computed, condition: Condition) -> Sql:
    """Compare a number of related entities; it is never empty."""
    if isinstance(condition, AnyOf):
        return any_of([_compare_count(computed, each) for each in condition.conditions])
    wanted = condition.uids if isinstance(condition, UidList) else ()
    if isinstance(condition, SingleValue):
        wanted = (condition.value,)
    numbers = [value for text in wanted if (value := number(text)) is not None]
    return one_of(json_of(numbers))(count(computed))
