"""Restricted queries: tables in which only those instances exist that meet the restrictions.

The names of the tables are given, by common table expressions, to selections of them: instances
that meet the restrictions, and the variants, series, studies and patients of which there is such
an instance. So everything else that a query does, comparing, counting and listing, is said in SQL
as ever and sees nothing else. What a study or series shows where its instances differ is worked
out anew from the variants that are left, see :func:`.tables.shown`.

Names are looked up within: :attr:`Dialect.whole` leads to the whole table.

A restriction is SQL as well. Each of these tables repeats it, though, so a dialect may have another
way for a long one: :meth:`Dialect.permits`.
"""

from itertools import pairwise

from pacs_core.contracts import AllOf, Either, Level, Not, Query, Restriction
from pacs_core.relational.catalog import TABLES
from pacs_core.relational.conditions import Translator
from pacs_core.relational.dialect import Dialect
from pacs_core.relational.fragments import ALWAYS, NEVER, NOTHING, Sql, all_of, any_of
from pacs_core.relational.tables import header_of, whole

_LEVELS = tuple(Level)
_VARYING = (Level.STUDY, Level.SERIES)


def scope_of(translator: Translator, query: Query) -> Sql:
    """Return what a query's statements begin with; nothing if it is not restricted.

    Raises
    ------
    ValueError
        A restriction is about an attribute that the index does not store.
    """
    if not query.restrictions:
        return NOTHING
    restriction = AllOf(query.restrictions)
    dialect = translator.dialect
    permitted = dialect.permits(restriction, translator.attribute)
    if permitted is None:
        permitted = _permits(translator, restriction)
    tables = [*_entities(dialect, permitted.text), *_variants(dialect, permitted.text)]
    beginning = f"WITH {', '.join(tables)} "
    return Sql(beginning, permitted.parameters * len(tables), permitted.functions)


def _permits(translator: Translator, restriction: Restriction) -> Sql:
    """Return a restriction on a row of `instance` and those above; never NULL."""
    if isinstance(restriction, AllOf | Either):
        parts = [_permits(translator, each) for each in restriction.restrictions]
        if not parts:
            return ALWAYS if isinstance(restriction, AllOf) else NEVER
        return all_of(parts) if isinstance(restriction, AllOf) else any_of(parts)
    if isinstance(restriction, Not):
        inner = _permits(translator, restriction.restriction)
        return Sql(f"NOT {inner.text}", inner.parameters, inner.functions)
    found = translator.holds(restriction)
    return Sql(f"(({found.text}) IS TRUE)", found.parameters, found.functions)


def _surroundings(level: Level) -> list[tuple[str, str]]:
    """Return the tables below and above one, each with what joins it to the one before."""
    below = [
        (TABLES[low], f"{TABLES[low]}.parent = {TABLES[up]}.id")
        for up, low in pairwise(_LEVELS[level.depth :])
    ]
    above = [
        (TABLES[up], f"{TABLES[up]}.id = {TABLES[low]}.parent")
        for low, up in pairwise(reversed(_LEVELS[: level.depth + 1]))
    ]
    return below + above


def _exists(dialect: Dialect, tables: list[tuple[str, str]], permitted: str) -> str:
    """Return whether there are such rows, in the whole tables."""
    rows = " CROSS JOIN ".join(whole(dialect, table) for table, _ in tables)
    conditions = " AND ".join(condition for _, condition in tables)
    return f"EXISTS (SELECT 1 FROM {rows} WHERE {conditions} AND {permitted})"  # noqa: S608


def _entities(dialect: Dialect, permitted: str) -> list[str]:
    return [
        f"{table} AS NOT MATERIALIZED (SELECT {table}.* FROM {whole(dialect, table)} "  # noqa: S608
        f"WHERE {_exists(dialect, _surroundings(level), permitted)})"
        for level, table in TABLES.items()
    ]


def _variants(dialect: Dialect, permitted: str) -> list[str]:
    found = []
    for level in _VARYING:
        table, variant = TABLES[level], f"{TABLES[level]}_variant"
        here = (table, f"{table}.id = w.parent")
        around = [here, *_surroundings(level)]
        exists = _exists(dialect, around, f"{header_of(dialect, level)} = w.id AND {permitted}")
        found.append(
            f"{variant} AS NOT MATERIALIZED (SELECT w.* "  # noqa: S608
            f"FROM {dialect.whole}{variant} AS w WHERE {exists})"
        )
    return found
