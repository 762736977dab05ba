"""Conditions of the query model as SQL."""

import itertools
from collections.abc import Callable, Iterator, Set
from typing import Any

from attrs import define, evolve, field, frozen

from pacs_core.contracts import (
    MOMENT_VRS,
    NUMBER_VRS,
    TIMEZONE_OFFSET,
    AllOf,
    AnyOf,
    Condition,
    DateTimeRange,
    Either,
    Empty,
    Level,
    Not,
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
from pacs_core.relational.catalog import (
    IDENTITY,
    ZONES,
    Attribute,
    Catalog,
    Computed,
    number,
)
from pacs_core.relational.dialect import Dialect
from pacs_core.relational.fragments import (
    ALWAYS,
    NEVER,
    Comparison,
    Sql,
    all_of,
    any_of,
    equal,
    in_range,
    like,
    with_prefix,
)
from pacs_core.relational.names import group_patterns, like_name, sound_keys
from pacs_core.relational.placing import NO_INDEX_WEIGHT, PlacedCondition, weight_of
from pacs_core.relational.sequences import sequence_matcher
from pacs_core.relational.tables import (
    Alternatives,
    column_of,
    count,
    header_of,
    shown,
    varies,
    whole,
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

    dialect: Dialect
    _catalog: Catalog
    _level: Level
    _names: Iterator[int] = field(factory=itertools.count)
    _restricted: bool = field(default=False, init=False)
    _separate: bool = field(default=False, init=False)

    def where(self, query: Query) -> Where:
        """Return the WHERE clause.

        Under restrictions it is about the tables of :mod:`.restrictions`.

        Raises
        ------
        ValueError
            A condition is about an attribute that the index does not have, or does not fit it.
        """
        self._restricted = bool(query.restrictions)
        found = {c: self._place(c) for c in query.conditions}
        conditions = {c: p for c, p in found.items() if p.sql != ALWAYS}
        if not conditions:
            return Where(ALWAYS, self._level, self._level)
        best = min(conditions, key=lambda c: (conditions[c].weight, conditions[c].about.depth))
        if self.dialect.separate and not conditions[best].negated:
            # Only here: each of the alternatives is looked up in full.
            self._separate = True
            conditions[best] = self._place(best)
            self._separate = False
        first, placed = conditions[best], list(conditions.values())
        top = min((p.top for p in placed), key=lambda level: level.depth)
        sql = all_of([p.as_sql(self.dialect, p is first and not p.negated) for p in placed])
        return Where(sql, min(top, self._level, key=lambda level: level.depth), first.about)

    def _place(self, condition: Condition | Either) -> PlacedCondition:
        if isinstance(condition, Either):
            return self._place_either(condition)
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

    def _place_either(self, either: Either) -> PlacedCondition:
        """Place conditions on several attributes, of which one must hold: on the lowest row."""
        parts = []
        for each in either.restrictions:
            if isinstance(each, AllOf | Either | Not):
                raise TypeError(f"a query's Either is of conditions, not of {type(each).__name__}")
            parts.append(self._place(each))
        if any(part.sql == ALWAYS for part in parts):
            return PlacedCondition(self._level, self._level, ALWAYS, NO_INDEX_WEIGHT)
        sql = any_of([part.as_sql(self.dialect, first=False) for part in parts]) if parts else NEVER
        levels = sorted((part.about for part in parts), key=lambda level: level.depth)
        lowest, highest = (levels[-1], levels[0]) if levels else (self._level, None)
        return PlacedCondition(lowest, lowest, sql, NO_INDEX_WEIGHT, needs=highest)

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
        own, header = rule(self, varying, condition), header_of(self.dialect, attribute.kept)
        table = varying.table
        variant = f"{whole(self.dialect, table)} WHERE {table}.id = {header}"
        text = (
            f"CASE WHEN EXISTS (SELECT 1 FROM {variant}) "  # noqa: S608
            f"THEN EXISTS (SELECT 1 FROM {variant} AND {own.text}) ELSE {sql.text} END"
        )
        return Sql(text, own.parameters + sql.parameters, own.functions + sql.functions)

    def _without(self, attribute: Attribute, about: Level) -> PlacedCondition:
        """Whether nothing below has a value."""
        sql = Sql(f"{shown(self.dialect, attribute, restricted=self._restricted)} IS NOT NULL")
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
            value = shown(self.dialect, attribute, restricted=self._restricted)
            return Sql(f"coalesce({value}, '') = ''")
        found = rule(self, varying, condition)
        if self._restricted:
            # What an entity shows may be what an instance has that does not exist.
            sql = all_of((sql, Sql(f"NOT {varies(self.dialect, attribute)}")))
        table, others = attribute.table, f"SELECT parent FROM {varying.table} WHERE {found.text}"  # noqa: S608
        many = isinstance(condition, PersonName) and len(group_patterns(condition.groups)) > 1
        if many or self._separate:
            # SQLite finds no index for alternatives within what are alternatives themselves.
            own = f"SELECT id FROM {whole(self.dialect, table)} WHERE {sql.text}"  # noqa: S608
            text = f"{table}.id IN ({own} UNION ALL {others})"
            return Sql(text, (*sql.parameters, *found.parameters), sql.functions + found.functions)
        text = f"{table}.id IN ({others})"
        return any_of((sql, Sql(text, found.parameters, found.functions)))

    def _place_computed(self, computed: Computed, condition: Condition) -> PlacedCondition:
        about = min(computed.level, self._level, key=lambda level: level.depth)
        if not computed.of:
            sql = self._compare_count(computed, condition)
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
            return self._alternatives.compare_text(attribute, comparison)
        columns = [match.column for match in attribute.matches]
        return self._alternatives.compare(attribute, columns, comparison)

    @property
    def _alternatives(self) -> Alternatives:
        return Alternatives(self.dialect, self._separate)

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
            # One of several values in one text.
            text = f"{self.dialect.position}('\\' || {column_of(attribute)} || '\\', ?) > 0"
            return Sql(text, (f"\\{c.value}\\",))
        return self.dialect.meets(
            attribute,
            column_of(attribute),
            lambda text: wanted in map(number_of, text.split("\\")),
            self._names,
        )

    def uids(self, attribute: Attribute, c: UidList) -> Sql:
        """PS3.4 C.2.2.2.2."""
        return self._any_value(attribute, self.dialect.one_of(c.uids))

    def wildcard(self, attribute: Attribute, c: Wildcard) -> Sql:
        """PS3.4 C.2.2.2.4."""
        if not c.pattern.strip("*"):
            return ALWAYS
        if attribute.vr == "PN":
            return self.name(attribute, PersonName(c.tag, name_groups(c.pattern)))
        # A pattern is about the text itself, also of numbers and times.
        return self._any_value(
            (attribute if attribute.single else evolve(attribute, vr="LO")),
            like(c.pattern, self._names, self.dialect.like),
        )

    def range(self, attribute: Attribute, c: Range) -> Sql:
        """PS3.4 C.2.2.2.5."""
        _require(attribute, MOMENT_VRS)
        if not (c.start or c.end):
            return ALWAYS
        bounds = range_bounds(attribute.vr, c.start, c.end, c.offset)
        return self._alternatives.any_of_rows(
            attribute, [self._any_value(attribute, in_range(*each)) for each in bounds]
        )

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
        joined = " || '\n' || ".join(f"coalesce({column}, '')" for column in columns)

        def test(text: str) -> bool:
            date, time, offset = ([part.split("\\")[0] for part in text.split("\n")] + [""] * 3)[:3]
            return is_within(c, date, time, timezone_of({TIMEZONE_OFFSET: (offset,)}))

        days = None
        if c.start_date or c.end_date:
            days = in_range(*days_around(c))(f"{attribute.table}.{attribute.matches[0].column}")
        exact = self.dialect.meets(attribute, f"({joined})", test, self._names, days)
        return exact if days is None else all_of((days, exact))

    def name(self, attribute: Attribute, c: PersonName) -> Sql:
        """PS3.5 §6.2.1.2, PS3.4 C.2.2.2.1."""
        _require(attribute, {"PN"})
        wanted = group_patterns(c.groups)
        if not wanted:
            return ALWAYS
        columns = [match.column for match in attribute.matches]
        if len(c.groups) == 1:
            literal = self._like_name(attribute, columns, wanted[0])
        else:
            literal = all_of(
                [self._like_name(attribute, [columns[n]], p) for n, p in wanted.items()]
            )
        if not (c.fuzzy and attribute.sounds_indexed and 0 in wanted):
            return literal
        alike = [
            self._alternatives.compare_several(
                attribute,
                attribute.sound,
                with_prefix(key[:-1]) if key.endswith("*") else equal(key),
            )
            for key in sound_keys(wanted[0])
        ]
        return (
            self._alternatives.any_of_rows(attribute, (literal, all_of(alike)))
            if alike
            else literal
        )

    def _like_name(self, attribute: Attribute, columns: list[str], pattern: str) -> Sql:
        comparison = like_name(pattern, self._names, self.dialect)
        return self._alternatives.compare(attribute, columns, comparison)

    def sequence(self, attribute: Attribute, c: SequenceMatch) -> Sql:
        """PS3.4 C.2.2.2.6."""
        _require(attribute, {"SQ"})
        if not c.conditions:
            return ALWAYS
        known = ZONES.get(attribute.level)
        zone = column_of(evolve(known, is_variant=attribute.is_variant)) if known else "NULL"
        text = f"(coalesce({zone}, '') || '\n' || {column_of(attribute)})"
        return self.dialect.meets(attribute, text, sequence_matcher(c.conditions), self._names)

    def empty(self, attribute: Attribute, _: Empty) -> Sql:
        """PS3.4 C.2.2.2.7."""
        column = column_of(attribute)
        return Sql(f"({column} IS NULL OR {column} = '')")

    def several(self, attribute: Attribute, c: AnyOf) -> Sql:
        """PS3.4 C.2.2.2.8."""
        return self._alternatives.any_of_rows(
            attribute, [_RULES[type(each)](self, attribute, each) for each in c.conditions]
        )

    def _compare_count(self, computed: Computed, condition: Condition) -> Sql:
        """Compare a number of related entities; it is never empty."""
        if isinstance(condition, AnyOf):
            return any_of([self._compare_count(computed, each) for each in condition.conditions])
        wanted = condition.uids if isinstance(condition, UidList) else ()
        if isinstance(condition, SingleValue):
            wanted = (condition.value,)
        numbers = [value for text in wanted if (value := number(text)) is not None]
        return self.dialect.one_of(numbers)(count(self.dialect, computed))


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
