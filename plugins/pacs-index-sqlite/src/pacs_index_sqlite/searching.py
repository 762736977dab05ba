"""A search under way: no transaction is held between batches.

So a stalled reader does not keep SQLite from truncating its log.
"""

import sqlite3
from collections.abc import Callable
from typing import Any, Final

from attrs import frozen

from pacs_core.contracts import Fingerprint, Query, SingleValue
from pacs_core.dataset import keyword_of
from pacs_core.relational import (
    UIDS,
    Catalog,
    Matching,
    Paging,
    Reading,
    counted_entities,
    json_of,
    matching_instances,
    read_instances,
    representable,
)
from pacs_index_sqlite.dialect import SQLITE
from pacs_index_sqlite.locations import LOCATION, stored_instance
from pacs_index_sqlite.metadata import CONTENT, in_form, instance_with_metadata

# Functions of ours that a statement uses, such as for sorting, are made on the connection before it
# runs, under fixed names: the next statement replaces them.

_UIDS: Final = frozenset(UIDS.values())

Functions = tuple[tuple[str, Callable[..., Any]], ...]


def names_few(query: Query) -> bool:
    """Tell whether a query names what it finds: by one UID of its level, and perhaps of others."""
    keywords = {
        keyword_of(each.tag) if isinstance(each, SingleValue) else "" for each in query.conditions
    }
    return UIDS.get(query.level) in keywords <= _UIDS and not query.restrictions


def count_of(catalog: Catalog, query: Query) -> Callable[[sqlite3.Connection], int]:
    """Return what counts the entities that match."""
    found = counted_entities(SQLITE, catalog, query)

    def count(connection: sqlite3.Connection) -> int:
        ((number,),) = _run(connection, found.functions, *found.count_statement())
        return int(number)

    return count


def fingerprint_of(catalog: Catalog, query: Query) -> Callable[[sqlite3.Connection], Fingerprint]:
    """Return what makes the fingerprint of the instances that match."""
    found = matching_instances(SQLITE, catalog, query)
    return lambda c: Fingerprint.of(_execute(c, found.functions, *found.contents_statement()))


def _run(
    connection: sqlite3.Connection,
    functions: Functions,
    statement: str,
    parameters: tuple[Any, ...],
) -> list[Any]:
    return _execute(connection, functions, statement, parameters).fetchall()


def _execute(
    connection: sqlite3.Connection,
    functions: Functions,
    statement: str,
    parameters: tuple[Any, ...],
) -> sqlite3.Cursor:
    for name, function in functions:
        connection.create_function(name, -1, function)
    try:
        return connection.execute(statement, parameters)
    except UnicodeEncodeError:
        clean = [representable(p) if isinstance(p, str) else p for p in parameters]
        return connection.execute(statement, clean)


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


@frozen
class RunningSearch:
    """Reads batch after batch, each in one call that leaves nothing open."""

    matching: Matching
    reading: Reading
    paging: Paging

    def batch(self, connection: sqlite3.Connection) -> list[Any]:
        """Return the next results; none if there are no more, or what was found is gone."""
        if (page := self.paging.next_page()) is not None:
            self.paging.take_page(_run(connection, self.matching.functions, *page))
        ids = self.paging.next_ids()
        return _read(connection, self.reading, ids) if ids else []
