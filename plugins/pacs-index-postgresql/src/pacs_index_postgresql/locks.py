"""Advisory locks: what the nodes with one index do one after another.

All of a node's transactions that take more than one take them in the order in which they are here.
"""

from typing import Any, Final
from zlib import crc32

MIGRATION: Final = 0x70616301
"""Held while the tables are changed."""
STRUCTURE: Final = 0x70616302
"""Held by whoever makes or removes patients, studies, series, headers, or the number of a twin."""
ORDER: Final = 0x70616303
"""Held from the number of a change to its commit, so that numbers are in the order of commits."""
REBUILD: Final = 0x70616304
"""Held by the process that builds the index anew, for as long as that takes."""


def number_of(schema: str) -> int:
    """Return the number of an archive among those that share a database."""
    return crc32(schema.encode()) - 2**31


async def take(connection: Any, lock: int, schema: str, *, session: bool = False) -> None:
    """Take a lock, to the end of the transaction or of the session."""
    function = "pg_advisory_lock" if session else "pg_advisory_xact_lock"
    await connection.execute(f"SELECT {function}({lock}, {number_of(schema)})")
