"""The database as other plugins see it.

This module imports SQLAlchemy for types only, so that naming the interface in `requires` costs
nothing at start-up.
"""

from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Protocol,
    TypeVar,
    TypeVarTuple,
    overload,
)

from pacs_core.contracts import Component

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, CursorResult, Dialect, Executable, Table
    from sqlalchemy.sql.selectable import TypedReturnsRows

_Columns = TypeVarTuple("_Columns")
_Result = TypeVar("_Result")


class DatabaseConnection(Protocol):
    """A connection in a transaction: what plugins do with SQLAlchemy's, and wait for.

    One task uses it. All rows of a result have come once ``execute`` is done.
    """

    @property
    def dialect(self) -> "Dialect":
        """SQLAlchemy's, whose ``name`` is that of the database."""
        raise NotImplementedError

    @overload
    async def execute(
        self, statement: "TypedReturnsRows[*_Columns]", parameters: Any = None
    ) -> "CursorResult[*_Columns]": ...

    @overload
    async def execute(
        self, statement: "Executable", parameters: Any = None
    ) -> "CursorResult[*tuple[Any, ...]]": ...

    async def execute(self, statement: Any, parameters: Any = None) -> Any:
        """Execute a statement of SQLAlchemy Core, with the parameters of one row or of many."""

    async def scalar(self, statement: "Executable", parameters: Any = None) -> Any:
        """Execute a statement; return the first column of the first row, None if there is none."""

    async def exec_driver_sql(
        self, statement: str, parameters: Any = None
    ) -> "CursorResult[*tuple[Any, ...]]":
        """Execute a text as the driver has it."""
        raise NotImplementedError

    async def run_sync(
        self,
        function: "Callable[Concatenate[Connection, ...], _Result]",
        /,
        *args: Any,
    ) -> _Result:
        """Call a function that is not asynchronous, with a connection of SQLAlchemy."""
        raise NotImplementedError


class Database(Component):
    """Where plugins keep tables of their own, through SQLAlchemy Core.

    There is one for all plugins of a node; nodes that name the same PostgreSQL share it. Name your
    tables after your plugin (``worklist_steps``), for those of all plugins are in one schema.

    Attributes
    ----------
    dialect : str
        ``"sqlite"`` or ``"postgresql"``.
    identity : str
        The same for all who use the same database: what is in one can be written in a
        transaction with the other. Without a password.
    """

    dialect: str
    identity: str

    @abstractmethod
    async def migrate(self, owner: str, package: str) -> None:
        """Bring the tables of a plugin to what its code expects; call it in ``start()``.

        Runs the Alembic revisions that are missing, in one transaction, while nobody else
        migrates. Other nodes may run the code of before meanwhile: let a revision only add, and
        take away in a later release.

        Parameters
        ----------
        owner : str
            The plugin; its state is in a table ``OWNER_revisions``.
        package : str
            Name of the package whose modules are the revisions.

        Raises
        ------
        MigrationError
            A revision failed and nothing was changed, or the tables belong to a newer version.
        """

    def insert(self, table: "Table") -> Any:
        """Return an INSERT into a table, as the dialect has it: it may say what is on conflict.

        Which is `on_conflict_do_nothing` or `on_conflict_do_update` of SQLAlchemy's ``Insert`` for
        SQLite and for PostgreSQL.
        """
        # The other dialect is never imported.
        return import_module(f"sqlalchemy.dialects.{self.dialect}").insert(table)

    @abstractmethod
    def begin(self) -> AbstractAsyncContextManager[DatabaseConnection]:
        """Write in a transaction: committed at the end of the ``async with`` block, or not at all.

        What is committed outlives a loss of power. Keep it short, and wait for nothing else in it:
        SQLite lets one writer in at a time, and who waits for longer than 30 s gets an
        ``OperationalError``.
        """

    @abstractmethod
    def connect(self) -> AbstractAsyncContextManager[DatabaseConnection]:
        """Read, in one consistent view, without keeping any writer waiting."""

    @abstractmethod
    def hold(self, name: str) -> "AbstractAsyncContextManager[None]":
        """Be the only one who holds a name, for an ``async with`` block; wait for whoever does.

        Among all tasks and processes that use the database, on all nodes that share it. It is let
        go of when the process ends, however that ends. Who holds it may use the database
        meanwhile; with PostgreSQL it costs a connection.

        Parameters
        ----------
        name : str
            Begin it with the name of the plugin. An identifier.
        """

    @property
    def stamp(self) -> object | None:
        """What is another whenever somebody has written, in any process; None if nobody can tell.

        For those who look again and again: it costs a system call, and no connection. Take it
        before you look; and look now and then in any case, as clocks of file systems are coarse.
        """
        return None

    @abstractmethod
    async def notify(self, connection: DatabaseConnection, channel: str) -> None:
        """Tell those who listen that there is something new, once it is committed.

        A node that shares a PostgreSQL database hears it too; with SQLite only this process does.
        So whoever listens also looks by itself now and then.

        Parameters
        ----------
        connection : DatabaseConnection
            Of :meth:`begin`; if its transaction is not committed, nobody is told.
        channel : str
            What there is something new of; begin it with the name of the plugin. An identifier.
        """

    @abstractmethod
    def listen(self, channel: str) -> "AbstractAsyncContextManager[Listener]":
        """Listen for what is announced on a channel, until the end of the ``async with`` block."""


class Listener(ABC):
    """Hears of what :meth:`Database.notify` announces."""

    @abstractmethod
    async def wait(self, seconds: float) -> None:
        """Wait until something is announced, or was since the last time, but not for longer.

        Parameters
        ----------
        seconds : float
        """


class MigrationError(Exception):
    """Tables cannot be brought to the version that the code expects; says what to do."""
