"""A connection to SQLite that ends when it is told to, whoever is cancelled meanwhile.

Theory of operation
-------------------
aiosqlite gives each connection a thread and a queue. Its ``close`` puts two calls into the queue:
one that closes, and after that one that ends the thread. SQLAlchemy closes a connection in whose
statement a task has been cancelled, in a task of its own; when that is cancelled as well, which
anyio always does, it says ``stop`` besides. The thread ends there, and the task, which comes to its
second call later, waits for an answer that nobody will give.

So here there is one end. ``stop`` puts its call into the queue once, and ``close`` waits for that
call, by whatever number of tasks it is asked for. What a cancelled task was doing in the thread is
waited for, and rolled back by the closing.
"""

import asyncio
import sqlite3
from typing import Any

import aiosqlite

CHUNK = 64
"""Rows that are fetched at once, as aiosqlite itself does."""


class SqliteConnection(aiosqlite.Connection):
    """A connection with one end.

    Parameters
    ----------
    path : str
    pragmas : sequence of str
        Said before anything else.
    wait : float
        Seconds that a statement waits for another connection's.
    """

    def __init__(self, path: str, pragmas: tuple[str, ...], wait: float) -> None:
        def connect() -> sqlite3.Connection:
            # Transactions are SQLAlchemy's to begin.
            opened = sqlite3.connect(path, timeout=wait, isolation_level=None)
            try:
                for pragma in pragmas:
                    opened.execute(pragma).close()
            except sqlite3.Error:
                opened.close()
                raise
            return opened

        super().__init__(connect, CHUNK)
        self._end: asyncio.Future[Any] | None = None
        self._thread.daemon = True  # as SQLAlchemy does with those that it opens itself

    def stop(self) -> asyncio.Future[Any] | None:
        """End it after what it does now, unless that has been said before."""
        if self._end is None:
            self._end = super().stop()
        return self._end

    async def close(self) -> None:
        """End it, and wait for that."""
        end = self.stop()
        if end is not None:
            await asyncio.shield(end)
