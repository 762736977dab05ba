"""Leases in the index: who of the nodes that share it does what.

A row is never removed, so that tokens only grow. The clock is the server's, so that those of the
nodes do not matter.
"""

from collections.abc import Sequence
from typing import Final

from attrs import frozen

from pacs_core.contracts import Lease, Leases
from pacs_index_postgresql.server import Server

_NOW: Final = "extract(epoch FROM clock_timestamp())::float8"
# A lease for longer than a day was taken when the clock was wrong.
_ACQUIRE: Final = f"""
    INSERT INTO lease VALUES ($1, $2, 1, {_NOW} + $3)
    ON CONFLICT (name) DO UPDATE
    SET holder = $2, token = lease.token + 1, until = {_NOW} + $3
    WHERE lease.holder = $2 OR lease.until <= {_NOW} OR lease.until > {_NOW} + 86400
    RETURNING token"""  # noqa: S608
_RENEW: Final = f"""
    UPDATE lease SET until = {_NOW} + $4 WHERE name = $1 AND holder = $2 AND token = $3"""  # noqa: S608
_RELEASE: Final = "UPDATE lease SET until = 0 WHERE name = $1 AND holder = $2 AND token = $3"
_HELD: Final = f"SELECT name, holder, token FROM lease WHERE until > {_NOW} ORDER BY name"  # noqa: S608


@frozen
class PostgresqlLeases(Leases):
    """The leases as the kernel sees them."""

    _server: Server

    async def acquire(self, name: str, holder: str, seconds: float) -> Lease | None:
        """Take a lease, see :meth:`Leases.acquire`."""
        token = await self._server.run(
            lambda connection: connection.fetchval(_ACQUIRE, name, holder, float(seconds))
        )
        return None if token is None else Lease(name, holder, int(token))

    async def renew(self, lease: Lease, seconds: float) -> bool:
        """Hold a lease longer, see :meth:`Leases.renew`."""
        values = (lease.name, lease.holder, lease.token, float(seconds))
        done = await self._server.run(lambda connection: connection.execute(_RENEW, *values))
        return bool(done != "UPDATE 0")

    async def release(self, lease: Lease) -> None:
        """Let others take a lease, see :meth:`Leases.release`."""
        values = (lease.name, lease.holder, lease.token)
        await self._server.run(lambda connection: connection.execute(_RELEASE, *values))

    async def held(self) -> Sequence[Lease]:
        """Return the leases that are held, see :meth:`Leases.held`."""
        rows = await self._server.run(lambda connection: connection.fetch(_HELD))
        return [Lease(*row) for row in rows]
