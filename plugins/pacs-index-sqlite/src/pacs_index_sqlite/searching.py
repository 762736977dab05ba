"""A search under way: ids in pages, then their rows in batches.

No transaction is held between batches, so that a stalled reader does not keep SQLite from
truncating its log. First come the ids of matching rows, in order, a page at a time (each page
continues after the last row of the one before); then, a batch at a time, the rows of these ids.
What is removed in between is left out. Each result is consistent in itself.
"""

import json
import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Any

from attrs import define, evolve, field, frozen

from pacs_core.contracts import Level, Query, sort_key
from pacs_core.dataset import Attributes, keyword_of
from pacs_index_sqlite.catalog import TABLES, Attribute, Catalog, Computed, json_of
from pacs_index_sqlite.conditions import Translator
from pacs_index_sqlite.fragments import NOTHING, Sql
from pacs_index_sqlite.locations import LOCATION, stored_instance
from pacs_index_sqlite.metadata import CONTENT, in_form, instance_with_metadata
from pacs_index_sqlite.restrictions import scope_of
from pacs_index_sqlite.tables import LEVELS, below, chain, count, shown
from pacs_index_sqlite.unicode import representable

# Theory of operation
#
# Keys come first and rows later because both orders of a join would be wrong. Sorting whole rows
# would carry all columns of all matches through a temporary table, of which most are never asked
# for. And SQLite, asked for rows in the order of ids, likes to walk the table and test each row,
# even where an index of a condition leads to three: the unary plus before the columns of ORDER BY
# keeps it from that, except where nothing is asked for at all.
#
# A page continues after the key of the last row, which needs no count of what was skipped and is
# not confused by what comes or goes. Sorted results have no such key: values may be equal or
# absent. They continue by number, and what changes in between may be left out or come twice.
#
# Functions of ours that a statement uses, such as for sorting, are made on the connection before it
# runs, under fixed names: the next statement replaces them.

PAGE = 65_536
FIRST_BATCH = 32
BATCH = 512

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

    where: Sql
    tables: str
    order: tuple[str, ...]
    scope: Sql = NOTHING
    sorting: Sql = NOTHING

    def page(self, connection: sqlite3.Connection, after: Key, size: int, skip: int) -> list[Key]:
        """Return up to `size` keys that follow `after`, without the first `skip`."""
        return self._run(connection, *self.statement(after, size, skip))

    def count(self, connection: sqlite3.Connection) -> int:
        """Return how many rows match."""
        text = f"{self.scope.text}SELECT count(*) FROM {self.tables} WHERE {self.where.text}"  # noqa: S608
        parameters = (*self.scope.parameters, *self.where.parameters)
        ((number,),) = self._run(connection, text, parameters)
        return int(number)

    def _run(
        self, connection: sqlite3.Connection, statement: str, parameters: tuple[Any, ...]
    ) -> list[Any]:
        sources = self.scope, self.where, self.sorting
        for name, function in (each for source in sources for each in source.functions):
            connection.create_function(name, -1, function)
        try:
            return connection.execute(statement, parameters).fetchall()
        except UnicodeEncodeError:
            clean = [representable(p) if isinstance(p, str) else p for p in parameters]
            return connection.execute(statement, clean).fetchall()

    def statement(self, after: Key, size: int, skip: int) -> tuple[str, tuple[Any, ...]]:
        """Return the statement for a page, and its parameters."""
        free = self.where.text == "1" and len(self.order) == 1
        # A plus keeps SQLite from walking the whole table in order when an index leads to few.
        order = self.order if free else tuple(f"+{column}" for column in self.order)
        columns = ", ".join(order)
        following = f" AND ({columns}) > ({', '.join('?' * len(after))})" if after else ""
        columns = f"{self.sorting.text}{columns}"
        text = (
            f"{self.scope.text}SELECT {', '.join(self.order)} FROM {self.tables} "  # noqa: S608
            f"WHERE {self.where.text}{following} ORDER BY {columns} LIMIT ? OFFSET ?"
        )
        return text, (*self.scope.parameters, *self.where.parameters, *after, size, skip)


def matching_entities(catalog: Catalog, query: Query) -> Matching:
    """Return what to ask for the entities that match."""
    translator = Translator(catalog, query.level)
    where, scope = translator.where(query), scope_of(translator, query)
    top, sorting = _sort_terms(catalog, query)
    top = min(where.top, top, key=lambda level: level.depth)
    tables = chain(query.level, top, where.first)
    return Matching(where.sql, tables, (f"{TABLES[query.level]}.id",), scope, sorting)


def count_of(catalog: Catalog, query: Query) -> Callable[[sqlite3.Connection], int]:
    """Return what counts the entities that match."""
    return matching_entities(catalog, evolve(query, order=())).count


def _sort_terms(catalog: Catalog, query: Query) -> tuple[Level, Sql]:
    """Return the topmost level of what results are sorted by, and how.

    Values are compared by a function of ours, so that they are as everywhere else.

    Raises
    ------
    ValueError
        An attribute is not stored at the level or above, or is a sequence.
    """
    top, terms, functions = query.level, [], []
    for number, order in enumerate(query.order):
        known = order.tag in catalog.attributes and order.tag in catalog.searchable(query.level)
        attribute = catalog.stored_attribute(order.tag, query.level) if known else None
        if attribute is None or attribute.vr == "SQ":
            name = keyword_of(order.tag)
            raise ValueError(f"the index does not sort {query.level.value} by {name}")
        column = _stored_column(attribute, query.level, restricted=bool(query.restrictions)).sql
        terms.append(
            f"sort_{number}({column}) {'DESC' if order.descending else 'ASC'} NULLS LAST, "
        )
        functions.append((f"sort_{number}", partial(_sort_key, attribute)))
        if attribute.kept.depth <= query.level.depth:
            top = min(top, attribute.kept, key=lambda level: level.depth)
    return top, Sql("".join(terms), (), tuple(functions))


def _sort_key(attribute: Attribute, text: str | None) -> str | float | None:
    values = attribute.values(text) if text else ()
    return sort_key(attribute.vr, [value for value in values if isinstance(value, str)])


def matching_instances(catalog: Catalog, query: Query) -> Matching:
    """Return what to ask for the instances at or below the entities that match."""
    translator = Translator(catalog, query.level)
    where, scope = translator.where(query), scope_of(translator, query)
    top = min(where.top, Level.STUDY, key=lambda level: level.depth)
    return Matching(where.sql, chain(Level.IMAGE, top, where.first), _INSTANCE_ORDER, scope)


@frozen
class Column:
    """A column of the results: its tag, its SQL, and how its content becomes values."""

    tag: int
    sql: str
    values: Callable[[Any], tuple[Any, ...]]


def columns_of(catalog: Catalog, query: Query) -> list[Column]:
    """Return the columns for the tags that a query wants and the index has at its level."""
    tags = sorted(query.returning & catalog.searchable(query.level))
    restricted = bool(query.restrictions)
    return [
        _computed_column(catalog, catalog.computed[tag], restricted=restricted)
        if tag in catalog.computed
        else _stored_column(
            catalog.stored_attribute(tag, query.level), query.level, restricted=restricted
        )
        for tag in tags
    ]


def _stored_column(attribute: Attribute, level: Level, *, restricted: bool) -> Column:
    column = shown(attribute, restricted=restricted)
    return Column(attribute.tag, _on_row(attribute, level, column), attribute.values)


def _on_row(attribute: Attribute, level: Level, column: str) -> str:
    if attribute.kept.depth <= level.depth:
        return column
    # Of a patient, that of the latest study.
    return (
        f"(SELECT {column} FROM study WHERE study.parent = patient.id AND {column} IS NOT NULL "  # noqa: S608
        "ORDER BY StudyDate_order DESC, StudyTime_order DESC, StudyInstanceUID DESC LIMIT 1)"
    )


def _computed_column(catalog: Catalog, computed: Computed, *, restricted: bool) -> Column:
    if computed.of:
        column = shown(catalog.keyword(computed.of), restricted=restricted)
        return Column(
            computed.tag,
            f"(SELECT json_group_array(DISTINCT {column}) {below(computed)} AND {column} NOT NULL)",
            _distinct,
        )
    return Column(computed.tag, count(computed), lambda number: (str(number),))


def _distinct(text: str) -> tuple[str, ...]:
    return tuple(sorted({value for joined in json.loads(text) for value in joined.split("\\")}))


def _rows(tables: str, table: str, columns: str) -> str:
    return (
        f"SELECT {columns} FROM json_each(?) AS wanted CROSS JOIN {tables} "  # noqa: S608
        f"WHERE {table}.id = wanted.value ORDER BY wanted.key"
    )


@define
class Fetch:
    """Reads the rows of some ids, in their order."""

    _statement: str
    _convert: Callable[[tuple[Any, ...]], Any]
    _scope: Sql = NOTHING

    def read(self, connection: sqlite3.Connection, ids: list[int]) -> list[Any]:
        """Return what is still there of the ids."""
        for name, function in self._scope.functions:
            connection.create_function(name, -1, function)
        parameters = (*self._scope.parameters, json_of(ids))
        rows = connection.execute(self._scope.text + self._statement, parameters)
        return [self._convert(row) for row in rows]


def fetch_attributes(catalog: Catalog, query: Query) -> Fetch:
    """Return how to read the results of :meth:`Index.search`."""
    columns = columns_of(catalog, query)
    decoders = [(column.tag, column.values) for column in columns]

    def convert(row: tuple[Any, ...]) -> Attributes:
        return {
            tag: values(content) if content not in {None, ""} else ()
            for (tag, values), content in zip(decoders, row, strict=False)
        }

    tables = chain(query.level, LEVELS[0], query.level)
    selected = ", ".join(column.sql for column in columns) or "1"
    scope = scope_of(Translator(catalog, query.level), query)
    return Fetch(_rows(tables, TABLES[query.level], selected), convert, scope)


def fetch_instances() -> Fetch:
    """Return how to read the results of :meth:`Index.instances`."""
    tables = chain(Level.IMAGE, Level.STUDY, Level.IMAGE)
    return Fetch(_rows(tables, TABLES[Level.IMAGE], LOCATION), stored_instance)


def fetch_metadata(form: str) -> Fetch:
    """Return how to read instances with the metadata that are kept of them."""
    tables = chain(Level.IMAGE, Level.STUDY, Level.IMAGE)
    columns = f"{LOCATION}, {CONTENT}"
    rows = _rows(tables, TABLES[Level.IMAGE], columns)
    return Fetch(rows, instance_with_metadata, in_form(form))


@define
class RunningSearch:
    """Reads batch after batch, each in one call that leaves nothing open."""

    _matching: Matching
    _fetch: Fetch
    _limit: int | None
    _skip: int
    _keys: list[Key] = field(factory=list, init=False)
    _taken: int = field(default=0, init=False)
    _after: Key = field(default=(), init=False)
    _complete: bool = field(default=False, init=False)
    _size: int = field(default=FIRST_BATCH, init=False)

    @property
    def is_exhausted(self) -> bool:
        """Whether there are no further results."""
        return self._complete and self._taken == len(self._keys)

    def batch(self, connection: sqlite3.Connection) -> list[Any]:
        """Return the next results; none if there are no more, or what was found is gone."""
        if self._taken == len(self._keys):
            self._next_page(connection)
        keys = self._keys[self._taken : self._taken + self._size]
        self._taken += len(keys)
        self._size = BATCH
        return self._fetch.read(connection, [key[-1] for key in keys])

    def _next_page(self, connection: sqlite3.Connection) -> None:
        size = PAGE if self._limit is None else min(PAGE, self._limit)
        self._keys = self._matching.page(connection, self._after, size, self._skip)
        self._taken = 0
        is_sorted = bool(self._matching.sorting.text)
        self._skip = self._skip + len(self._keys) if is_sorted else 0
        if self._limit is not None:
            self._limit -= len(self._keys)
        self._complete = len(self._keys) < size or self._limit == 0
        self._after = self._keys[-1] if self._keys and not is_sorted else ()
