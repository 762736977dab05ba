"""Overrides: who has broken the glass, why, and until when.

They are kept in a small SQLite file beside the node's others, because all processes of the node
must know of them at once, a restart must not forget them, and they are reported long after they
have ended.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from time import time

from attrs import frozen

_SCHEMA = """
CREATE TABLE IF NOT EXISTS override (
    id INTEGER PRIMARY KEY AUTOINCREMENT, principal TEXT NOT NULL, reason TEXT NOT NULL,
    given_by TEXT NOT NULL, host TEXT NOT NULL, since REAL NOT NULL, until REAL NOT NULL
) STRICT
"""
_COLUMNS = "id, principal, reason, given_by, host, since, until"


@frozen
class Override:
    """An override.

    Attributes
    ----------
    number : int
    principal : str
        For whom rules for emergencies hold.
    reason : str
    given_by : str
        Who has broken the glass: the same, or an operator.
    host : str
        From where.
    since, until : float
        Seconds since the epoch.
    """

    number: int
    principal: str
    reason: str
    given_by: str
    host: str
    since: float
    until: float


class Overrides:
    """Those of a node.

    Parameters
    ----------
    directory : Path
        Of the plugin; made when the first is given.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / "overrides.sqlite3"

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=10)) as connection, connection:
            yield connection

    def add(self, principal: str, reason: str, given_by: str, host: str, minutes: int) -> Override:
        """Let rules for emergencies hold for somebody from now on; an earlier override ends."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.touch(mode=0o600)
        now = time()
        with self._open() as connection:
            connection.execute(_SCHEMA)
            self._end(connection, principal, now)
            row = (principal, reason, given_by, host, now, now + 60 * minutes)
            cursor = connection.execute(
                "INSERT INTO override (principal, reason, given_by, host, since, until) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                row,
            )
            return Override(cursor.lastrowid or 0, *row)

    def end(self, principal: str) -> bool:
        """End the override of somebody; return whether there was one."""
        if not self._path.exists():
            return False
        with self._open() as connection:
            return self._end(connection, principal, time())

    def _end(self, connection: sqlite3.Connection, principal: str, now: float) -> bool:
        sql = "UPDATE override SET until = ? WHERE principal = ? AND until > ?"
        return connection.execute(sql, (now, principal, now)).rowcount > 0

    def active(self, principal: str) -> Override | None:
        """Return the override that holds for somebody now."""
        if not principal:
            return None
        found = self._select("principal = ? AND since <= ? AND until > ?", principal, *[time()] * 2)
        return found[-1] if found else None

    def all(self, since: float = 0.0) -> list[Override]:
        """Return those that were given since a moment, the first first."""
        return self._select("since >= ?", since)

    def _select(self, where: str, *values: object) -> list[Override]:
        if not self._path.exists():
            return []
        with self._open() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM override WHERE {where} ORDER BY id",  # noqa: S608
                values,
            )
            return [Override(*row) for row in rows]
