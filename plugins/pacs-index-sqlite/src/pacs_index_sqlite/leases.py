"""Leases in the index: who of the nodes that share the file does what.

A row is never removed, so that tokens only grow. The clock is that of the machine, which all
processes with one SQLite file share; if it is set, a lease may end early, or late by as much, and
its holder learns of that when it renews.
"""

import sqlite3
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from attrs import define, frozen

from pacs_core.contracts import Lease, Leases

TABLE: Final = """CREATE TABLE lease (
    name TEXT PRIMARY KEY NOT NULL, holder TEXT NOT NULL, token INTEGER NOT NULL,
    until REAL NOT NULL) WITHOUT ROWID"""
_ACQUIRE: Final = """
    INSERT INTO lease VALUES (:name, :holder, 1, :now + :seconds)
    ON CONFLICT (name) DO UPDATE
    SET holder = :holder, token = token + 1, until = :now + :seconds
    WHERE holder = :holder OR until <= :now OR until > :now + :most
    RETURNING token"""
_RENEW: Final = "UPDATE lease SET until = ? WHERE name = ? AND holder = ? AND token = ?"
_HELD: Final = "SELECT name, holder, token FROM lease WHERE until > ? ORDER BY name"
_FREE: Final = 0.0
_LONGEST: Final = 86400.0  # seconds; a lease for longer was taken when the clock was wrong


def create_table(connection: sqlite3.Connection) -> None:
    """Make the table: a step of the schema."""
    connection.execute(TABLE)


@define
class LeaseTable:
    """The leases as the writer sees them, within its transactions."""

    _connection: sqlite3.Connection

    def acquire(self, name: str, holder: str, seconds: float) -> Lease | None:
        """Take a lease that is free, or one's own."""
        values = {"name": name, "holder": holder, "seconds": seconds, "now": time.time()}
        found = self._connection.execute(_ACQUIRE, {**values, "most": _LONGEST}).fetchone()
        return None if found is None else Lease(name, holder, int(found[0]))

    def set_end(self, lease: Lease, until: float) -> bool:
        """Let a lease end at some time; tell whether it is held."""
        values = (until, lease.name, lease.holder, lease.token)
        return self._connection.execute(_RENEW, values).rowcount > 0


@frozen
class SqliteLeases(Leases):
    """The leases as the kernel sees them.

    Parameters
    ----------
    write, read : callable
        Run a function in a transaction of the writer, or with a connection for reading.
    """

    _write: Callable[[Callable[[LeaseTable], Any]], Awaitable[Any]]
    _read: Callable[[Callable[[sqlite3.Connection], Any]], Awaitable[Any]]

    async def acquire(self, name: str, holder: str, seconds: float) -> Lease | None:
        """Take a lease, see :meth:`Leases.acquire`."""
        lease: Lease | None = await self._write(lambda table: table.acquire(name, holder, seconds))
        return lease

    async def renew(self, lease: Lease, seconds: float) -> bool:
        """Hold a lease longer, see :meth:`Leases.renew`."""
        return bool(await self._write(lambda table: table.set_end(lease, time.time() + seconds)))

    async def release(self, lease: Lease) -> None:
        """Let others take a lease, see :meth:`Leases.release`."""
        await self._write(lambda table: table.set_end(lease, _FREE))

    async def held(self) -> Sequence[Lease]:
        """Return the leases that are held, see :meth:`Leases.held`."""
        found: list[tuple[str, str, int]] = await self._read(
            lambda connection: connection.execute(_HELD, (time.time(),)).fetchall()
        )
        return [Lease(*row) for row in found]
