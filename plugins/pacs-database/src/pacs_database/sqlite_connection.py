"""A connection to SQLite that does each of its calls in a thread.

Theory of operation
-------------------
A call, with all rows that it finds, is one step in a thread, and a task waits for it before it
makes the next. SQLAlchemy's own asyncio takes several steps for each statement, and brings its ORM:
six megabytes that nobody here uses.

A thread cannot be stopped. So a task that is cancelled goes on at once, and leaves its connection
to a thread, which waits for the call that is still made, takes back what was not committed, and
gives the connection back to the pool. A call that no thread has begun is not made any more.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, wait
from typing import Any, Concatenate, TypeVar

from sqlalchemy import Connection, CursorResult, Dialect, Engine, Executable

_Result = TypeVar("_Result")


class _FetchingCursor(sqlite3.Cursor):
    """A cursor that has all rows once a statement is done: to read them waits for nothing."""

    def __init__(self, connection: sqlite3.Connection, /) -> None:
        super().__init__(connection)
        self._rows = deque[Any]()

    def execute(self, sql: str, parameters: Any = (), /) -> "_FetchingCursor":
        super().execute(sql, parameters)
        self._rows = deque(super().fetchall())
        return self

    def fetchone(self) -> Any:
        return self._rows.popleft() if self._rows else None

    def fetchmany(self, size: int | None = 1) -> list[Any]:
        count = min(size or self.arraysize, len(self._rows))
        return [self._rows.popleft() for _ in range(count)]

    def fetchall(self) -> list[Any]:
        rows, self._rows = list(self._rows), deque[Any]()
        return rows


class FetchingConnection(sqlite3.Connection):
    """What :func:`sqlite3.connect` is to make; threads may use it one after the other."""

    def cursor(self, factory: Any = _FetchingCursor) -> Any:
        """Return a cursor that fetches at once."""
        return super().cursor(factory)


class ThreadedConnection:
    """A connection in a transaction, which one task uses.

    Parameters
    ----------
    engine : Engine
        Of SQLAlchemy.
    threads : Executor
        With two threads for each connection that there may be.
    options : mapping
        Execution options, which say how its transaction begins.

    Attributes
    ----------
    announced : set of str
        Channels that are told of once it is committed.
    """

    def __init__(self, engine: Engine, threads: Executor, options: Mapping[str, Any]) -> None:
        self.announced = set[str]()
        self._engine = engine
        self._threads = threads
        self._options = options
        self._connection: Connection | None = None
        self._call: Future[Any] | None = None

    @property
    def dialect(self) -> Dialect:
        """SQLAlchemy's."""
        return self._engine.dialect

    async def begin(self) -> None:
        """Open it, and begin its transaction."""
        await self._run(self._begin)

    async def commit(self) -> None:
        """Commit the transaction."""
        await self._run(self._opened().commit)

    async def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:
        """Execute a statement; its rows are there already."""
        return await self._run(self._opened().execute, statement, parameters)

    async def exec_driver_sql(self, statement: str, parameters: Any = None) -> CursorResult[Any]:
        """Execute a text as it is."""
        return await self._run(self._opened().exec_driver_sql, statement, parameters)

    async def scalar(self, statement: Executable, parameters: Any = None) -> Any:
        """Execute a statement; return the first column of the first row, or None."""
        return await self._run(self._opened().scalar, statement, parameters)

    async def run_sync(
        self,
        function: Callable[Concatenate[Connection, ...], _Result],
        /,
        *args: Any,
    ) -> _Result:
        """Call a function with SQLAlchemy's connection, in one step."""
        return await self._run(function, self._opened(), *args)

    @property
    def is_busy(self) -> bool:
        """Whether a thread still does what a task was cancelled for."""
        return self._call is not None and not self._call.done()

    def close(self) -> "asyncio.Future[None]":
        """Give the connection back after what it still does; return what is done then."""
        return asyncio.wrap_future(self._threads.submit(self._close, self._call))

    async def _run(self, function: Callable[..., _Result], *args: Any) -> _Result:
        call = self._call = self._threads.submit(function, *args)
        return await asyncio.wrap_future(call)

    def _begin(self) -> None:
        self._connection = self._engine.connect()
        self._connection.execution_options(**self._options).begin()

    def _close(self, call: Future[Any] | None) -> None:
        if call is not None:
            wait([call])
        if self._connection is not None:
            self._connection.close()

    def _opened(self) -> Connection:
        if self._connection is None:
            raise RuntimeError("the connection has not begun")
        return self._connection
