"""A search under way: ids in pages, then their rows in batches.

No transaction is held between batches, so that a stalled reader does not keep SQLite from
truncating its log. First come the ids of matching rows, in order, a page at a time (each page
continues after the last row of the one before); then, a batch at a time, the rows of these ids.
What is removed in between is left out. Each result is consistent in itself.
"""

import sqlite3
from collections.abc import Callable
from typing import Any

from attrs import define, field

from pacs_core.contracts import Query
from pacs_core.relational import (
    Catalog,
    Key,
    Matching,
    Reading,
    counted_entities,
    json_of,
    read_instances,
    representable,
)
from pacs_index_sqlite.dialect import SQLITE
from pacs_index_sqlite.locations import LOCATION, stored_instance
from pacs_index_sqlite.metadata import CONTENT, in_form, instance_with_metadata

# Functions of ours that a statement uses, such as for sorting, are made on the connection before it
# runs, under fixed names: the next statement replaces them.

Functions = tuple[tuple[str, Callable[..., Any]], ...]

PAGE = 65_536
FIRST_BATCH = 32
BATCH = 512


def count_of(catalog: Catalog, query: Query) -> Callable[[sqlite3.Connection], int]:
    """Return what counts the entities that match."""
    found = counted_entities(SQLITE, catalog, query)

    def count(connection: sqlite3.Connection) -> int:
        ((number,),) = _run(connection, found.functions, *found.count_statement())
        return int(number)

    return count


def _run(
    connection: sqlite3.Connection,
    functions: Functions,
    statement: str,
    parameters: tuple[Any, ...],
) -> list[Any]:
    for name, function in functions:
        connection.create_function(name, -1, function)
    try:
        return connection.execute(statement, parameters).fetchall()
    except UnicodeEncodeError:
        clean = [representable(p) if isinstance(p, str) else p for p in parameters]
        return connection.execute(statement, clean).fetchall()


def _read(connection: sqlite3.Connection, reading: Reading, ids: list[int]) -> list[Any]:
    """Return what is still there of the ids."""
    scope, statement = reading.scope, reading.scope.text + reading.statement
    rows = _run(connection, scope.functions, statement, (*scope.parameters, json_of(ids)))
    return [reading.convert(row) for row in rows]


def stored_instances() -> Reading:
    """Return how to read the results of :meth:`Index.instances`."""
    return read_instances(SQLITE, LOCATION, stored_instance)


def kept_metadata(form: str) -> Reading:
    """Return how to read instances with the metadata that are kept of them."""
    columns = f"{LOCATION}, {CONTENT}"
    return read_instances(SQLITE, columns, instance_with_metadata, in_form(form))


@define
class RunningSearch:
    """Reads batch after batch, each in one call that leaves nothing open."""

    _matching: Matching
    _reading: Reading
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
        return _read(connection, self._reading, [key[-1] for key in keys])

    def _next_page(self, connection: sqlite3.Connection) -> None:
        size = PAGE if self._limit is None else min(PAGE, self._limit)
        statement = self._matching.statement(self._after, size, self._skip)
        self._keys = _run(connection, self._matching.functions, *statement)
        self._taken = 0
        is_sorted = bool(self._matching.sorting.text)
        self._skip = self._skip + len(self._keys) if is_sorted else 0
        if self._limit is not None:
            self._limit -= len(self._keys)
        self._complete = len(self._keys) < size or self._limit == 0
        self._after = self._keys[-1] if self._keys and not is_sorted else ()
