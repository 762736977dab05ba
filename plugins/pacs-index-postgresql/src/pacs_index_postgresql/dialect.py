"""Dialect of PostgreSQL, and how its statements are bound.

The shared translation marks parameters by question marks; the driver numbers them. Equal values are
bound once, so that a restriction that a statement names six times is bound once.

What SQL cannot tell by itself (items of sequences, dates with times in other zones, decimal
numbers) Python tests: a *probe* asks for the different texts in question, and those that pass are
bound as a list. So the comparison itself is an ordinary one with a list.
"""

import re
from collections.abc import Callable, Collection, Iterator
from typing import Any, Final

from attrs import frozen

from pacs_core.contracts import NUMBER_VRS
from pacs_core.relational import Attribute, Comparison, Dialect, Sql
from pacs_index_postgresql.text import LONGEST, bound

_SPECIAL: Final = re.compile(r"[%_\\]")


@frozen(eq=False)
class Probe:
    """Texts of a table that pass a test, to be asked for before a statement is bound."""

    statement: str
    parameters: tuple[Any, ...]
    test: Callable[[str], bool]


class PostgresqlDialect(Dialect):
    """SQL as PostgreSQL has it, with the tables in one schema."""

    join = "JOIN"
    position = "strpos"
    json_list = "coalesce(json_agg(DISTINCT {}), '[]')"
    separate = True

    def __init__(self, schema: str) -> None:
        self.whole = f"{schema}."

    def one_of(self, values: Collection[str | int]) -> Comparison:
        """Compare with a list, as one array."""
        texts = [value for value in values if isinstance(value, str)]
        numbers = [value for value in values if isinstance(value, int)]

        def compare(column: str) -> Sql:
            if column.endswith("_number") or column == "number":
                found = [int(text) for text in texts if re.fullmatch(r"[+-]?[0-9]{1,18}", text)]
                return Sql(f"{column} = ANY(?::bigint[])", ((*numbers, *found),))
            if numbers or not texts:
                return Sql(f"{column}::text = ANY(?::text[])", (tuple(map(str, numbers)),))
            return Sql(f"{column} = ANY(?::text[])", (tuple(texts),))

        return compare

    def like(self, pattern: str, names: Iterator[int]) -> Comparison:
        """Compare with a pattern, by LIKE."""
        escaped = _SPECIAL.sub(r"\\\g<0>", pattern).replace("*", "%").replace("?", "_")
        return lambda column: Sql(f"{column} LIKE ?", (escaped,))

    def meets(
        self,
        attribute: Attribute,
        text: str,
        test: Callable[[str], bool],
        names: Iterator[int],
        among: Sql | None = None,
    ) -> Sql:
        """Compare with the list of texts that pass."""
        table = attribute.table
        where = f"{text} IS NOT NULL" + (f" AND {among.text}" if among else "")
        statement = f"SELECT DISTINCT {text} FROM {self.whole}{table} AS {table} WHERE {where}"  # noqa: S608
        probe = Probe(statement, among.parameters if among else (), test)
        return Sql(f"{text} = ANY(?::text[])", (probe,))

    def ranges(self, column: str) -> tuple[str, ...]:
        """Return conditions by length: an entry of an index has 2,700 bytes at most."""
        if column.endswith("_number") or column == "number":
            return ()
        return tuple(f"octet_length({column}) {each} {LONGEST}" for each in ("<=", ">"))

    def several_value(self, match: str) -> str:
        """Return the column of `several`: one for numbers, one for text."""
        return "number" if match.endswith("_number") else "value"

    def sort_term(
        self,
        attribute: Attribute,
        number: int,
        shown: Callable[[str], str],
        on_row: Callable[[str], str],
    ) -> Sql:
        """Return an expression of columns: one has what others do not tell."""
        plain = shown(attribute.sorted_by)
        if attribute.vr in NUMBER_VRS:
            plain = "NULL::float8" if attribute.vr == "DS" else f"({plain})::float8"
        elif attribute.sorted_by == attribute.keyword:
            plain = f"lower({plain})"
        if not attribute.sort_columns:
            return Sql(on_row(plain))
        term = f"coalesce({shown(attribute.sort_columns[0])}, {plain})"
        nothing = "'NaN'" if attribute.vr in NUMBER_VRS else "''"
        return Sql(on_row(f"nullif({term}, {nothing})"))

    def rows(self, tables: str, table: str, columns: str) -> str:
        """Return the statement for rows by their ids, which are bound as an array."""
        return (
            f"SELECT {columns} FROM {tables} "  # noqa: S608
            "JOIN unnest(?::bigint[]) WITH ORDINALITY AS wanted (value, key) "
            f"ON {table}.id = wanted.value ORDER BY wanted.key"
        )


def render(text: str, parameters: tuple[Any, ...]) -> tuple[str, list[Any]]:
    """Return a statement with numbered parameters, and these as the driver takes them."""
    numbers: dict[Any, int] = {}
    values: list[Any] = []
    marks = iter(parameters)

    def number(_: "re.Match[str]") -> str:
        value = next(marks)
        key = (type(value), value)
        if key not in numbers:
            values.append(bound(value))
            numbers[key] = len(values)
        return f"${numbers[key]}"

    return re.sub(r"\?", number, text), values
