"""Patterns: the same meaning in SQL and in sequence items, and no exponential time."""

import fnmatch
import itertools
import sqlite3

import pytest
from hypothesis import given, strategies as st
from pacs_index_sqlite.dialect import SQLITE

from pacs_core.contracts import wildcard_pattern as pattern
from pacs_core.relational import after, like

CONNECTION = sqlite3.connect(":memory:", check_same_thread=False)
TEXT = st.text(alphabet="ab[]*?^%_\\é", max_size=8)


def glob(text: str, wanted: str) -> bool:
    sql = like(wanted, itertools.count(), SQLITE.like)("content")
    for function_name, function in sql.functions:
        CONNECTION.create_function(function_name, 1, function)
    statement = f"SELECT {sql.text} FROM (SELECT ? AS content)"
    # The content's parameter comes last in the text.
    return bool(CONNECTION.execute(statement, (*sql.parameters, text)).fetchone()[0])


@given(TEXT, TEXT)
def test_sql_and_items_agree(text: str, wanted: str) -> None:
    expected = fnmatch.fnmatchcase(text, wanted.replace("[", "[[]"))
    assert bool(pattern(wanted).fullmatch(text)) == expected
    assert glob(text, wanted) == expected


@pytest.mark.parametrize("stars", [5, 50, 500])
def test_many_asterisks(stars: int) -> None:
    wanted, text = "*a" * stars + "*b*c", "a" * 5000 + "b"
    assert not pattern(wanted).fullmatch(text)
    assert not glob(text, wanted)


@given(st.text(min_size=1), st.text())
def test_range_of_a_prefix(prefix: str, rest: str) -> None:
    stop = after(prefix)
    assert stop is None or prefix + rest < stop
    assert stop is None or not stop.startswith(prefix)
