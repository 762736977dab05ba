"""Announcements: who waits for news need not ask for them again and again.

Theory of operation
-------------------
PostgreSQL has it (NOTIFY, LISTEN): what is announced in a transaction is heard by all nodes once
it is committed. Who listens does so on a connection of its own, made when it first waits, and made
anew when it is lost. SQLite has nothing of the kind, so that only this process is told. In either
case nothing is kept for those who do not listen: an announcement is a reason to look at once, and
never the only one.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import MutableSet
from typing import TYPE_CHECKING, Any

import anyio
from sqlalchemy.exc import SQLAlchemyError

from pacs_database.interface import Listener

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

logger = logging.getLogger(__name__)


class _Waiting(Listener, ABC):
    """Remembers what it heard until somebody waits for it."""

    def __init__(self) -> None:
        self._heard = anyio.Event()

    def hear(self, *_arguments: object) -> None:
        """Let who waits go on, or who waits next."""
        self._heard.set()

    async def wait(self, seconds: float) -> None:
        """Wait for an announcement, for so many seconds at most."""
        with anyio.move_on_after(seconds):
            await self.be_ready()
            await self._heard.wait()
        if self._heard.is_set():
            self._heard = anyio.Event()

    async def be_ready(self) -> None:
        """Do what is needed to hear."""

    @abstractmethod
    async def close(self) -> None:
        """Hear nothing more."""


class LocalListener(_Waiting):
    """Hears what this process announces.

    Parameters
    ----------
    others : set of Listener
        All who listen on the channel.
    """

    def __init__(self, others: MutableSet["LocalListener"]) -> None:
        super().__init__()
        self._others = others
        others.add(self)

    async def close(self) -> None:
        """Hear nothing more."""
        self._others.discard(self)


class PostgresListener(_Waiting):
    """Hears what anybody announces who uses the same PostgreSQL database.

    Parameters
    ----------
    engine : AsyncEngine
    channel : str
    """

    def __init__(self, engine: "AsyncEngine", channel: str) -> None:
        super().__init__()
        self._engine = engine
        self._channel = channel
        self._connection: AsyncConnection | None = None
        self._driver: Any = None  # asyncpg's connection, which has no types

    async def be_ready(self) -> None:
        """Connect, unless the connection of before still is one."""
        if self._driver is not None and not self._driver.is_closed():
            return
        await self.close()
        connection = self._engine.connect()
        try:
            await connection.start()
            self._connection = connection
            driver: Any = (await connection.get_raw_connection()).driver_connection
            await driver.add_listener(self._channel, self.hear)
            self._driver = driver
        except (OSError, SQLAlchemyError) as error:
            logger.warning("news of %s come late: %s", self._channel, error)
            await self.close()
            return
        # What was announced before was not heard.
        self.hear()

    async def close(self) -> None:
        """Hear nothing more. The connection is not used for anything else."""
        connection, self._connection, self._driver = self._connection, None, None
        if connection is not None:
            with anyio.CancelScope(shield=True):
                await connection.invalidate()
                await connection.close()
