"""Tables in SQL: how they are joined, what a row of them shows, and comparisons with that."""

from pacs_core.contracts import Level
from pacs_index_sqlite.catalog import TABLES, Attribute, Computed
from pacs_index_sqlite.fragments import Comparison, Sql, all_of, any_of

LEVELS = tuple(Level)


def chain(bottom: Level, top: Level, first: Level) -> str:
    """Return a FROM clause: the tables from `bottom` up to `top`, read in order from `first`."""
    text = TABLES[first]
    for level in LEVELS[first.depth + 1 : bottom.depth + 1]:
        low, up = TABLES[level], TABLES[LEVELS[level.depth - 1]]
        text += f" CROSS JOIN {low} ON {low}.parent = {up}.id"
    for level in reversed(LEVELS[top.depth : first.depth]):
        up, low = TABLES[level], TABLES[LEVELS[level.depth + 1]]
        text += f" CROSS JOIN {up} ON {up}.id = {low}.parent"
    return text


def varies(attribute: Attribute) -> str:
    """Return whether the instances of a row's entity differ, or have differed."""
    table = TABLES[attribute.kept]
    return f"EXISTS (SELECT 1 FROM main.{table}_variant AS v WHERE v.parent = {table}.id)"  # noqa: S608


def header_of(level: Level) -> str:
    """Return the number of the header that a row of `instance` has at a level."""
    if level is Level.SERIES:
        return "instance.header"
    return "(SELECT above FROM main.series_header WHERE id = instance.header)"


def shown(attribute: Attribute, *, restricted: bool) -> str:
    """Return the value that an entity shows, which depends on the instances that exist."""
    varying = attribute.varying
    if varying is None or not restricted:
        return column_of(attribute)
    value = f"{varying.table}.{attribute.keyword}"
    return (
        f"CASE WHEN {varies(attribute)} THEN (SELECT {value} FROM {varying.table} "  # noqa: S608
        f"WHERE {varying.table}.parent = {attribute.table}.id AND {value} IS NOT NULL "
        f"ORDER BY {varying.table}.rank LIMIT 1) ELSE {column_of(attribute)} END"
    )


def value_of(attribute: Attribute) -> str:
    """Return the text of an attribute that a row of `instance` and those above it have.

    Where the instances of a study or series differ, each has its own in the table of variants,
    under the number of its header.
    """
    varying = attribute.varying
    if varying is None:
        return column_of(attribute)
    found = f"FROM main.{varying.table} AS v WHERE v.id = {header_of(attribute.kept)}"
    return (
        f"CASE WHEN EXISTS (SELECT 1 {found}) "
        f"THEN (SELECT v.{attribute.keyword} {found}) ELSE {column_of(attribute)} END"
    )


def column_of(attribute: Attribute) -> str:
    """Return the column with the text of an attribute."""
    return f"{attribute.table}.{attribute.keyword}"


def below(computed: Computed) -> str:
    """Return FROM and WHERE of the rows that a computed attribute is about."""
    first = LEVELS[computed.level.depth + 1]
    inner = chain(computed.counts, first, first)
    return f"FROM {inner} WHERE {TABLES[first]}.parent = {TABLES[computed.level]}.id"


def count(computed: Computed) -> str:
    """Return the scalar query for a number of related entities."""
    return f"(SELECT count(*) {below(computed)})"


def compare(attribute: Attribute, columns: list[str], comparison: Comparison) -> Sql:
    """Compare with some columns of an attribute, or the rows of `several` for them."""
    table = attribute.table
    whole = [comparison(f"{table}.{column}") for column in columns]
    if columns == [attribute.keyword]:
        # The text of several values together is no value.
        whole = [all_of((whole[0], Sql(f"instr({table}.{columns[0]}, '\\') = 0")))]
    return any_of((*whole, *(compare_several(attribute, column, comparison) for column in columns)))


def compare_several(attribute: Attribute, match: str, comparison: Comparison) -> Sql:
    """Compare with the rows of `several` for a column of an attribute."""
    found = comparison("value")
    match = f"{attribute.table}.{match}" if attribute.is_variant else match
    text = f"{attribute.table}.id IN (SELECT owner FROM several WHERE match = ? AND {found.text})"  # noqa: S608
    return Sql(text, (match, *found.parameters), found.functions)
