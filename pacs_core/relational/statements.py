"""Statements of a search: which rows match, in which order, and what is read of them.

Keys come first and rows later because both orders of a join would be wrong. Sorting whole rows
would carry all columns of all matches through a temporary table, of which most are never asked for.
So one statement gives the ids of matching rows, in order, a page at a time (each page continues
after the last row of the one before), and another the rows of some ids.

A page continues after the key of the last row, which needs no count of what was skipped and is not
confused by what comes or goes. Sorted results have no such key: values may be equal or absent. They
continue by number, and what changes in between may be left out or come twice.
"""

import json
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from attrs import evolve, frozen

from pacs_core.contracts import Level, Query
from pacs_core.dataset import Attributes, keyword_of
from pacs_core.relational.catalog import TABLES, Attribute, Catalog, Computed
from pacs_core.relational.conditions import Translator
from pacs_core.relational.dialect import Dialect
from pacs_core.relational.fragments import ALWAYS, NOTHING, Sql
from pacs_core.relational.restrictions import scope_of
from pacs_core.relational.tables import LEVELS, below, chain, count, shown

_INSTANCE_ORDER = (
    "study.id",
    "series.id",
    "coalesce(instance.InstanceNumber_number, 0)",
    "instance.id",
)

Key = tuple[int, ...]


@frozen
class Matching:
    """The ordered keys of what matches a query; the last part of a key is the row's id.

    `sorting` comes before that order, if results are to be sorted: pages are then not continued
    after a key, but by their number.
    """

    dialect: Dialect
    where: Sql
    tables: str
    order: tuple[str, ...]
    scope: Sql = NOTHING
    sorting: Sql = NOTHING

    @property
    def functions(self) -> tuple[tuple[str, Callable[..., Any]], ...]:
        """The functions of ours that the statements call."""
        return (*self.scope.functions, *self.where.functions, *self.sorting.functions)

    def count_statement(self) -> tuple[str, tuple[Any, ...]]:
        """Return the statement that counts matching rows, and its parameters."""
        text = f"{self.scope.text}SELECT count(*) FROM {self.tables} WHERE {self.where.text}"  # noqa: S608
        return text, (*self.scope.parameters, *self.where.parameters)

    def contents_statement(self) -> tuple[str, tuple[Any, ...]]:
        """Return the statement for what :meth:`Fingerprint.of` takes, of matching instances."""
        order = ", ".join(f"{self.dialect.as_is}{column}" for column in self.order)
        text = (
            f"{self.scope.text}SELECT instance.SOPInstanceUID, instance.digest, "  # noqa: S608
            f"instance.corrections FROM {self.tables} WHERE {self.where.text} ORDER BY {order}"
        )
        return text, (*self.scope.parameters, *self.where.parameters)

    def statement(self, after: Key, size: int, skip: int) -> tuple[str, tuple[Any, ...]]:
        """Return the statement for up to `size` keys after another, and its parameters.

        Without the first `skip`.
        """
        free = self.where == ALWAYS and len(self.order) == 1
        # An index that leads to few is better than to walk the whole table in order.
        as_is = "" if free else self.dialect.as_is
        order = tuple(f"{as_is}{column}" for column in self.order)
        columns = ", ".join(order)
        following = f" AND ({columns}) > ({', '.join('?' * len(after))})" if after else ""
        columns = f"{self.sorting.text}{columns}"
        text = (
            f"{self.scope.text}SELECT {', '.join(self.order)} FROM {self.tables} "  # noqa: S608
            f"WHERE {self.where.text}{following} ORDER BY {columns} LIMIT ? OFFSET ?"
        )
        return text, (*self.scope.parameters, *self.where.parameters, *after, size, skip)


@frozen
class Reading:
    """How rows are read by their ids: a statement with one more parameter, and what rows become."""

    statement: str
    convert: Callable[[Any], Any]
    scope: Sql = NOTHING


def matching_entities(dialect: Dialect, catalog: Catalog, query: Query) -> Matching:
    """Return what to ask for the entities that match.

    Raises
    ------
    ValueError
        The index does not store what the query is about, or cannot sort by it.
    """
    translator = Translator(dialect, catalog, query.level)
    where, scope = translator.where(query), scope_of(translator, query)
    top, sorting = _sort_terms(dialect, catalog, query)
    top = min(where.top, top, key=lambda level: level.depth)
    tables = chain(dialect, query.level, top, where.first)
    return Matching(dialect, where.sql, tables, (f"{TABLES[query.level]}.id",), scope, sorting)


def counted_entities(dialect: Dialect, catalog: Catalog, query: Query) -> Matching:
    """Return what to ask for the number of entities that match."""
    return matching_entities(dialect, catalog, evolve(query, order=()))


def _sort_terms(dialect: Dialect, catalog: Catalog, query: Query) -> tuple[Level, Sql]:
    """Return the topmost level of what results are sorted by, and how.

    Raises
    ------
    ValueError
        An attribute is not stored at the level or above, or is a sequence.
    """
    top, found = query.level, []
    for number, order in enumerate(query.order):
        known = order.tag in catalog.attributes and order.tag in catalog.searchable(query.level)
        attribute = catalog.stored_attribute(order.tag, query.level) if known else None
        if attribute is None or attribute.vr == "SQ":
            name = keyword_of(order.tag)
            raise ValueError(f"the index does not sort {query.level.value} by {name}")

        shows = partial(shown, dialect, attribute, restricted=bool(query.restrictions))
        on_row = partial(_on_row, attribute, query.level)
        term = dialect.sort_term(attribute, number, shows, on_row)
        direction = "DESC" if order.descending else "ASC"
        found.append(evolve(term, text=f"{term.text} {direction} NULLS LAST, "))
        if attribute.kept.depth <= query.level.depth:
            top = min(top, attribute.kept, key=lambda level: level.depth)
    functions = tuple(each for term in found for each in term.functions)
    return top, Sql("".join(term.text for term in found), (), functions)


def matching_instances(dialect: Dialect, catalog: Catalog, query: Query) -> Matching:
    """Return what to ask for the instances at or below the entities that match."""
    translator = Translator(dialect, catalog, query.level)
    where, scope = translator.where(query), scope_of(translator, query)
    top = min(where.top, Level.STUDY, key=lambda level: level.depth)
    tables = chain(dialect, Level.IMAGE, top, where.first)
    return Matching(dialect, where.sql, tables, _INSTANCE_ORDER, scope)


@frozen
class Column:
    """A column of the results: its tag, its SQL, and how its content becomes values."""

    tag: int
    sql: str
    values: Callable[[Any], tuple[Any, ...]]


@lru_cache(maxsize=128)  # clients ask for the same columns again and again
def columns_of(
    dialect: Dialect, catalog: Catalog, level: Level, returning: frozenset[int], *, restricted: bool
) -> tuple[Column, ...]:
    """Return the columns for the tags that a query wants and the index has at its level."""
    columns = []
    for tag in sorted(returning & catalog.searchable(level)):
        if tag in catalog.computed:
            columns.append(_computed_column(dialect, catalog, catalog.computed[tag], restricted))
            continue
        attribute = catalog.stored_attribute(tag, level)
        shows = shown(dialect, attribute, restricted=restricted)
        columns.append(Column(tag, _on_row(attribute, level, shows), attribute.values))
    return tuple(columns)


def _on_row(attribute: Attribute, level: Level, column: str) -> str:
    if attribute.kept.depth <= level.depth:
        return column
    # Of a patient, that of the latest study.
    return (
        f"(SELECT {column} FROM study WHERE study.parent = patient.id AND {column} IS NOT NULL "  # noqa: S608
        "ORDER BY StudyDate_order DESC NULLS LAST, StudyTime_order DESC NULLS LAST, "
        "StudyInstanceUID DESC LIMIT 1)"
    )


def _computed_column(
    dialect: Dialect, catalog: Catalog, computed: Computed, restricted: bool
) -> Column:
    if not computed.of:
        return Column(computed.tag, count(dialect, computed), lambda number: (str(number),))
    column = shown(dialect, catalog.keyword(computed.of), restricted=restricted)
    listed = dialect.json_list.format(column)
    rows = f"{below(dialect, computed)} AND {column} IS NOT NULL"
    return Column(computed.tag, f"(SELECT {listed} {rows})", _distinct)


def _distinct(text: str) -> tuple[str, ...]:
    return tuple(sorted({value for joined in json.loads(text) for value in joined.split("\\")}))


def read_attributes(dialect: Dialect, catalog: Catalog, query: Query) -> Reading:
    """Return how to read the results of :meth:`Index.search`."""
    restricted = bool(query.restrictions)
    columns = columns_of(dialect, catalog, query.level, query.returning, restricted=restricted)
    decoders = [(column.tag, column.values) for column in columns]

    def convert(row: Any) -> Attributes:
        return {
            tag: values(content) if content not in {None, ""} else ()
            for (tag, values), content in zip(decoders, row, strict=False)
        }

    tables = chain(dialect, query.level, LEVELS[0], query.level)
    selected = ", ".join(column.sql for column in columns) or "1"
    scope = scope_of(Translator(dialect, catalog, query.level), query)
    return Reading(dialect.rows(tables, TABLES[query.level], selected), convert, scope)


def read_instances(
    dialect: Dialect, columns: str, convert: Callable[[Any], Any], scope: Sql = NOTHING
) -> Reading:
    """Return how to read columns of instances with their series and studies."""
    tables = chain(dialect, Level.IMAGE, Level.STUDY, Level.IMAGE)
    return Reading(dialect.rows(tables, TABLES[Level.IMAGE], columns), convert, scope)
