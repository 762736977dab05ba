"""Tables in SQL: how they are joined, what a row of them shows, and comparisons with that."""

from collections.abc import Sequence

from attrs import frozen

from pacs_core.contracts import Level
from pacs_core.relational.catalog import TABLES, Attribute, Computed
from pacs_core.relational.dialect import Dialect
from pacs_core.relational.fragments import Comparison, Sql, all_of, any_of

LEVELS = tuple(Level)


def chain(dialect: Dialect, bottom: Level, top: Level, first: Level) -> str:
    """Return a FROM clause: the tables from `bottom` up to `top`, read in order from `first`.

    Under restrictions the rows of `bottom` are the permitted ones, and so are those above them:
    they are read from the whole tables, which is much less to plan.
    """

    def named(level: Level) -> str:
        return TABLES[level] if level is bottom else whole(dialect, TABLES[level])

    text = named(first)
    for level in LEVELS[first.depth + 1 : bottom.depth + 1]:
        low, up = TABLES[level], TABLES[LEVELS[level.depth - 1]]
        text += f" {dialect.join} {named(level)} ON {low}.parent = {up}.id"
    for level in reversed(LEVELS[top.depth : first.depth]):
        up, low = TABLES[level], TABLES[LEVELS[level.depth + 1]]
        text += f" {dialect.join} {named(level)} ON {up}.id = {low}.parent"
    return text


def whole(dialect: Dialect, table: str) -> str:
    """Return a table under its name with all rows, the ones that are not permitted as well."""
    return f"{dialect.whole}{table} AS {table}"


def varies(dialect: Dialect, attribute: Attribute) -> str:
    """Return whether the instances of a row's entity differ, or have differed."""
    table = TABLES[attribute.kept]
    return f"EXISTS (SELECT 1 FROM {dialect.whole}{table}_variant AS v WHERE v.parent = {table}.id)"  # noqa: S608


def header_of(dialect: Dialect, level: Level) -> str:
    """Return the number of the header that a row of `instance` has at a level."""
    if level is Level.SERIES:
        return "instance.header"
    return f"(SELECT above FROM {dialect.whole}series_header WHERE id = instance.header)"  # noqa: S608


def shown(dialect: Dialect, attribute: Attribute, column: str = "", *, restricted: bool) -> str:
    """Return the value that an entity shows, which depends on the instances that exist.

    Parameters
    ----------
    dialect : Dialect
    attribute : Attribute
    column : str
        Which of the attribute's columns; by default the one with its text.
    restricted : bool
        Whether some instances do not exist for the query.
    """
    varying, column = attribute.varying, column or attribute.keyword
    own = f"{attribute.table}.{column}"
    if varying is None or not restricted:
        return own
    table = varying.table
    return (
        f"CASE WHEN {varies(dialect, attribute)} THEN (SELECT {table}.{column} FROM {table} "  # noqa: S608
        f"WHERE {table}.parent = {attribute.table}.id AND {table}.{attribute.keyword} IS NOT NULL "
        f"ORDER BY {table}.rank LIMIT 1) ELSE {own} END"
    )


def value_of(dialect: Dialect, attribute: Attribute) -> str:
    """Return the text of an attribute that a row of `instance` and those above it have.

    Where the instances of a study or series differ, each has its own in the table of variants,
    under the number of its header.
    """
    varying = attribute.varying
    if varying is None:
        return column_of(attribute)
    header = header_of(dialect, attribute.kept)
    found = f"FROM {dialect.whole}{varying.table} AS v WHERE v.id = {header}"
    return (
        f"CASE WHEN EXISTS (SELECT 1 {found}) "
        f"THEN (SELECT v.{attribute.keyword} {found}) ELSE {column_of(attribute)} END"
    )


def column_of(attribute: Attribute) -> str:
    """Return the column with the text of an attribute."""
    return f"{attribute.table}.{attribute.keyword}"


def below(dialect: Dialect, computed: Computed) -> str:
    """Return FROM and WHERE of the rows that a computed attribute is about."""
    first = LEVELS[computed.level.depth + 1]
    inner = chain(dialect, computed.counts, first, first)
    return f"FROM {inner} WHERE {TABLES[first]}.parent = {TABLES[computed.level]}.id"


def count(dialect: Dialect, computed: Computed) -> str:
    """Return the scalar query for a number of related entities."""
    return f"(SELECT count(*) {below(dialect, computed)})"


@frozen
class Alternatives:
    """How conditions on rows of an attribute's table are put together as alternatives.

    Attributes
    ----------
    dialect : Dialect
    separate : bool
        Whether each is looked up by itself, as the dialect may need it: see
        :attr:`Dialect.separate`.
    """

    dialect: Dialect
    separate: bool = False

    def any_of_rows(self, attribute: Attribute, parts: Sequence[Sql]) -> Sql:
        """Return a disjunction of conditions."""
        if not self.separate or len(parts) == 1:
            return any_of(parts)
        table = attribute.table
        rows = whole(self.dialect, table)  # of which those that `table` has are picked
        each = " UNION ALL ".join(f"SELECT id FROM {rows} WHERE {part.text}" for part in parts)  # noqa: S608
        joined = any_of(parts)
        return Sql(f"{table}.id IN ({each})", joined.parameters, joined.functions)

    def in_ranges(self, attribute: Attribute, column: str, condition: Sql) -> Sql:
        """Return a condition on a column as one for each of its indexes."""
        if not (self.separate and attribute.indexed):
            return condition
        ranges = [Sql(each) for each in self.dialect.ranges(column)]
        parts = [all_of((each, condition)) for each in ranges] or [condition]
        return self.any_of_rows(attribute, parts)

    def compare(self, attribute: Attribute, columns: list[str], comparison: Comparison) -> Sql:
        """Compare with some columns of an attribute, or the rows of `several` for them."""
        table = attribute.table
        entire = [comparison(f"{table}.{column}") for column in columns]
        if columns == [attribute.keyword]:
            # The text of several values together is no value.
            only = Sql(f"{self.dialect.position}({table}.{columns[0]}, '\\') = 0")
            entire = [all_of((entire[0], only))]
        parts = [
            self.in_ranges(attribute, f"{table}.{column}", condition)
            for column, condition in zip(columns, entire, strict=True)
        ]
        several = [self.compare_several(attribute, column, comparison) for column in columns]
        return self.any_of_rows(attribute, parts + several)

    def compare_text(self, attribute: Attribute, comparison: Comparison) -> Sql:
        """Compare with the text of an attribute that has one value."""
        column = column_of(attribute)
        return self.in_ranges(attribute, column, comparison(column))

    def compare_several(self, attribute: Attribute, match: str, comparison: Comparison) -> Sql:
        """Compare with the rows of `several` for a column of an attribute."""
        column = self.dialect.several_value(match)
        found = comparison(column)
        match = f"{attribute.table}.{match}" if attribute.is_variant else match
        ranges = self.dialect.ranges(column) if self.separate else ()
        parts = [
            Sql(
                f"{attribute.table}.id IN "  # noqa: S608
                f"(SELECT owner FROM several WHERE match = ? AND {each}{found.text})",
                (match, *found.parameters),
                found.functions,
            )
            for each in [f"{each} AND " for each in ranges] or [""]
        ]
        return self.any_of_rows(attribute, parts)
