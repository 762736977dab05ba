"""The way to the server: two pools of connections, and patience while it is away."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeVar

import asyncpg
from attrs import define, field

from pacs_core.contracts import Secret
from pacs_index_postgresql.config import PostgresqlIndexConfig
from pacs_index_postgresql.errors import (
    TRANSIENT,
    PostgresqlIndexError,
    permanent_cause,
    translate_error,
)

Result = TypeVar("Result")

OLDEST: Final = 14
"""The first major version of PostgreSQL that is tested."""
_PAUSE: Final = 0.02  # seconds before another attempt, at first
_LONGEST_PAUSE: Final = 1.0
_WRITERS: Final = 3
"""Connections for what is short: one for changes, others for look-ups."""


@define(eq=False)
class Server:
    """Connections to the server of an index.

    Searches have a pool of their own, so that slow ones never keep an instance waiting; in it
    statements are planned with the values that they are about.
    """

    _config: PostgresqlIndexConfig
    where: str = ""
    _short: Any = field(default=None, init=False)
    _long: Any = field(default=None, init=False)

    def dsn(self) -> str:
        """Return where the database is.

        Raises
        ------
        PostgresqlIndexError
            The configuration does not say, or the secret is not there.
        """
        given = self._config.dsn
        if not isinstance(given, Secret):
            raise PostgresqlIndexError(
                "the index needs to know where its database is: dsn of [plugin.index-postgresql], "
                'as { env = "NAME" } or { file = "PATH" }, '
                "which has postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
            )
        try:
            return given.reveal()
        except LookupError as error:
            raise PostgresqlIndexError(f"dsn of [plugin.index-postgresql]: {error}") from error

    async def connect(self) -> Any:
        """Make a connection of its own, for what takes long; whoever asked for it closes it."""
        settings = {"application_name": "pacs-core", "search_path": self._config.schema}
        return await asyncpg.connect(
            self.dsn(), timeout=self._config.timeout, server_settings=settings
        )

    async def open(self) -> None:
        """Connect once, to say at once what is wrong, and make the pools."""
        dsn, config = self.dsn(), self._config
        settings = {"application_name": "pacs-core", "search_path": config.schema, "jit": "off"}
        options: dict[str, Any] = {
            "timeout": config.timeout,
            "command_timeout": config.timeout,
            "reset": _keep_session,
        }
        try:
            self._short = asyncpg.create_pool(
                dsn,
                min_size=0,
                max_size=_WRITERS,
                # What it does goes by keys. A plan that was made while a table was empty, and reads
                # the whole of it, would be kept until somebody has counted its rows.
                server_settings={**settings, "enable_seqscan": "off"},
                **options,
            )
            self._long = asyncpg.create_pool(
                dsn,
                min_size=0,
                max_size=config.readers,
                server_settings={**settings, "plan_cache_mode": "force_custom_plan"},
                **options,
            )
            await self._short
            await self._long
            await self._wait_for_server()
            async with self._short.acquire(timeout=config.timeout) as connection:
                found = connection._con._params
                host = connection._con._addr
                at = host if isinstance(host, str) else ":".join(map(str, host[:2]))
                self.where = f"{found.user}@{at}/{found.database}"
                _check_version(connection.get_server_version().major, self.where)
        except BaseException as error:
            await self.close()
            if isinstance(error, Exception):
                raise translate_error(error, self.where or _without_password(dsn)) from error
            raise

    async def _wait_for_server(self) -> None:
        """Wait until the server lets somebody in: a node is often started together with it."""
        deadline, pause = time.monotonic() + self._config.timeout, _PAUSE
        while True:
            try:
                async with self._short.acquire(timeout=max(deadline - time.monotonic(), 0.001)):
                    return
            except TRANSIENT as error:
                if permanent_cause(error) or time.monotonic() + pause >= deadline:
                    raise
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def close(self) -> None:
        """Close all connections."""
        for pool in (self._short, self._long):
            if pool is not None:
                pool.terminate()
        self._short = self._long = None

    @asynccontextmanager
    async def connection(self, *, long: bool = False, patience: float) -> AsyncIterator[Any]:
        """Lend a connection for an ``async with`` block."""
        pool = self._long if long else self._short
        if pool is None:
            raise PostgresqlIndexError("the index is not running: call start() first")
        connection = await pool.acquire(timeout=max(patience, 0.001))
        try:
            yield connection
        finally:
            # What was done is done, though the connection be lost at this very moment.
            with suppress(*TRANSIENT):
                await pool.release(connection)

    async def run(
        self,
        work: Callable[[Any], Awaitable[Result]],
        *,
        long: bool = False,
        may_repeat: Callable[[], bool] = lambda: True,
    ) -> Result:
        """Do something with a connection, again if need be, until the time is up.

        Parameters
        ----------
        work : callable
            Gets the connection.
        long : bool
            Whether it is a search.
        may_repeat : callable
            Tells, after an attempt has failed, whether another is harmless.

        Raises
        ------
        UnavailableIndexError
            The server was not there, or did not answer, until the time was up.
        """
        deadline, pause = time.monotonic() + self._config.timeout, _PAUSE
        while True:
            left = deadline - time.monotonic()
            try:
                async with asyncio.timeout(max(left, 0.001)):
                    async with self.connection(long=long, patience=left) as connection:
                        try:
                            return await work(connection)
                        except asyncpg.InternalClientError:
                            connection.terminate()
                            raise
            except TRANSIENT as error:
                late = time.monotonic() + pause >= deadline
                if permanent_cause(error) or late or not may_repeat():
                    raise translate_error(error, self.where) from error
            except asyncpg.PostgresError as error:
                raise translate_error(error, self.where) from error
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - no secret
            pause = min(2 * pause, _LONGEST_PAUSE)


async def _keep_session(_: Any) -> None:
    """Give a connection back as it is: transactions have ended, and nothing else is ever changed.

    What the driver does otherwise, for users that might, is one more way to the server and back.
    """


def _check_version(version: int, where: str) -> None:
    if version < OLDEST:
        raise PostgresqlIndexError(
            f"the index {where}: the server is PostgreSQL {version}, and this needs {OLDEST} or "
            "later: upgrade it"
        )


def _without_password(dsn: str) -> str:
    scheme, _, rest = dsn.rpartition("@")
    user = scheme.partition("://")[2].partition(":")[0]
    place = (rest if scheme else rest.partition("://")[2]).partition("?")[0]
    return f"{user}@{place}" if user else place


async def find_version(config: PostgresqlIndexConfig) -> tuple[str, int]:
    """Return where an index is, and the version of its schema; 0 if there is none.

    Raises
    ------
    PostgresqlIndexError
        The server does not say.
    """
    server = Server(config)
    where = f"{_without_password(server.dsn())}, schema {config.schema}"
    try:
        connection = await server.connect()
        try:
            if not await connection.fetchval("SELECT to_regclass('schema_version') IS NOT NULL"):
                return where, 0
            return where, int(await connection.fetchval("SELECT version FROM schema_version") or 0)
        finally:
            await connection.close()
    except (OSError, asyncpg.PostgresError) as error:
        raise translate_error(error, where) from error
