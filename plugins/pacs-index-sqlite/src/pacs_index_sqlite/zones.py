"""A step of the schema: offsets from UTC at each level, and date-times as moments.

Files from before had the offset of a study only, and compared date-times as text.
"""

import sqlite3
from collections.abc import Iterator
from itertools import pairwise

from pacs_core.contracts import comparables, timezone_of
from pacs_core.dataset import UnknownAttribute, tag_of, vr_of
from pacs_core.relational import TABLES, ZONES

_COLUMN = "TimezoneOffsetFromUTC"
_BATCH = 1000


def note_zones(connection: sqlite3.Connection) -> None:
    """Give series and instances the offset of their study, and date-times their forms."""
    tables = list(TABLES.values())
    if _COLUMN not in _columns(connection, "study"):
        # A new file: its columns are added later.
        return
    for above, table in pairwise(tables[1:]):
        if _COLUMN not in _columns(connection, table):
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {_COLUMN} TEXT")
            connection.execute(
                f"UPDATE {table} SET {_COLUMN} = "  # noqa: S608
                f"(SELECT {_COLUMN} FROM {above} WHERE {above}.id = {table}.parent)"
            )
    zoned = {TABLES[level] for level in ZONES}
    for table in tables:
        for keyword in _date_times(connection, table):
            _recompute(connection, table, keyword, _COLUMN if table in zoned else "NULL")


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}


def _date_times(connection: sqlite3.Connection, table: str) -> Iterator[str]:
    for column in sorted(_columns(connection, table)):
        keyword = column.removesuffix("_order")
        try:
            if keyword != column and vr_of(tag_of(keyword.removeprefix("tag_"))) == "DT":
                yield keyword
        except UnknownAttribute:
            continue


def _recompute(connection: sqlite3.Connection, table: str, keyword: str, zone: str) -> None:
    column, last = f"{keyword}_order", 0
    while rows := connection.execute(
        f"SELECT id, {keyword}, {zone} FROM {table} "  # noqa: S608
        f"WHERE id > ? AND {keyword} IS NOT NULL ORDER BY id LIMIT {_BATCH}",
        (last,),
    ).fetchall():
        for row, text, offset in rows:
            values, zoned = text.split("\\"), timezone_of({tag_of(_COLUMN): (offset or "",)})
            forms = [form for value in values for form in comparables("DT", value, zoned)]
            first = forms[0] if len(values) == 1 and forms else None
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE id = ?", (first, row))  # noqa: S608
            connection.execute("DELETE FROM several WHERE match = ? AND owner = ?", (column, row))
            connection.executemany(
                "INSERT OR IGNORE INTO several VALUES (?, ?, ?)",
                [(column, form, row) for form in forms[len(values) == 1 :]],
            )
        last = rows[-1][0]
