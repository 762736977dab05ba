"""Dialect of SQLite, which calls functions of ours for what it cannot do by itself."""

from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Final

from pacs_core.contracts import Restriction, sort_key, wildcard_pattern
from pacs_core.relational import Attribute, Comparison, Dialect, Sql, json_of
from pacs_index_sqlite.permission import conditions_of, permits

_FEW: Final = 6
"""Conditions, as SQL; beyond about that a function is faster, though it has statements prepared."""
# Beyond this SQLite refuses a GLOB pattern (SQLITE_MAX_LIKE_PATTERN_LENGTH).
_LONGEST_PATTERN: Final = 50_000


class SqliteDialect(Dialect):
    """SQL as SQLite has it."""

    join = "CROSS JOIN"  # read in this order
    whole = "main."
    position = "instr"
    json_list = "json_group_array(DISTINCT {})"
    as_is = "+"  # SQLite likes to walk the table in the order of ids

    def one_of(self, values: Collection[str | int]) -> Comparison:
        """Compare with a list, as JSON text."""
        return lambda column: Sql(
            f"{column} IN (SELECT value FROM json_each(?))",  # noqa: S608
            (json_of(values),),
        )

    def like(self, pattern: str, names: Iterator[int]) -> Comparison:
        """Compare with a pattern: by GLOB, which has the same wild cards, or a function."""
        # It has sets in brackets besides, and ends at a NUL.
        globbed = pattern.replace("[", "[[]")
        if len(globbed.encode(errors="surrogatepass")) <= _LONGEST_PATTERN and "\0" not in pattern:
            return lambda column: Sql(f"{column} GLOB ?", (globbed,))
        whole = wildcard_pattern(pattern)

        def match(column: str) -> Sql:
            name = f"like_{next(names)}"
            function = (name, lambda text: bool(whole.fullmatch(str(text))))
            return Sql(f"{name}({column})", (), (function,))

        return match

    def meets(
        self,
        attribute: Attribute,
        text: str,
        test: Callable[[str], bool],
        names: Iterator[int],
        among: Sql | None = None,
    ) -> Sql:
        """Have a function of ours test a text that is not NULL."""
        name = f"meets_{next(names)}"
        # SQLite may call it first: the order of what is joined by AND is its own.
        function = (name, lambda found: found is not None and test(str(found)))
        return Sql(f"({text} IS NOT NULL AND {name}({text}))", (), (function,))

    def several_value(self, match: str) -> str:
        """Return the column of `several` that has the values."""
        return "value"

    def sort_term(
        self,
        attribute: Attribute,
        number: int,
        shown: Callable[[str], str],
        on_row: Callable[[str], str],
    ) -> Sql:
        """Return a call of a function of ours, so that values are compared as everywhere else."""
        name = f"sort_{number}"
        function = (name, partial(_sort_key, attribute))
        return Sql(f"{name}({on_row(shown(attribute.keyword))})", (), (function,))

    def rows(self, tables: str, table: str, columns: str) -> str:
        """Return the statement for rows by their ids, which are bound as JSON."""
        return (
            f"SELECT {columns} FROM json_each(?) AS wanted CROSS JOIN {tables} "  # noqa: S608
            f"WHERE {table}.id = wanted.value ORDER BY wanted.key"
        )

    def permits(
        self, restriction: Restriction, attribute_of: Callable[[int], Attribute]
    ) -> Sql | None:
        """Return a call of a function of ours for a long restriction."""
        if len(conditions_of(restriction)) <= _FEW:
            return None
        return permits(self, restriction, attribute_of)


def _sort_key(attribute: Attribute, text: str | None) -> str | float | None:
    values = attribute.values(text) if text else ()
    return sort_key(attribute.vr, [value for value in values if isinstance(value, str)])


SQLITE: Final = SqliteDialect()
