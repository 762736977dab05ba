"""The log of corrections, in a table."""

from collections.abc import Sequence
from typing import Any, Final

from attrs import frozen

from pacs_core.contracts import (
    Correction,
    CorrectionExistsError,
    CorrectionLog,
    correction_from_json,
    correction_to_json,
)
from pacs_index_postgresql.changes import LastSeen
from pacs_index_postgresql.outbox import QUIET
from pacs_index_postgresql.server import Server
from pacs_index_postgresql.text import decode, encode

_ADD: Final = "INSERT INTO correction VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING"
_AFTER: Final = """
    SELECT content, object_key, is_settled FROM correction WHERE number > $1 ORDER BY number"""


@frozen
class PostgresqlCorrectionLog(CorrectionLog):
    """The log as the kernel sees it."""

    _server: Server
    _last: LastSeen

    @property
    def seen(self) -> int:
        """The number of the last correction, see :attr:`CorrectionLog.seen`."""
        return self._last.number

    async def add(self, correction: Correction) -> None:
        """Add a correction, see :meth:`CorrectionLog.add`.

        No instance is added meanwhile: whoever adds one has seen the correction, or the instance
        is there for those who apply it.
        """
        row = (
            correction.number,
            encode(correction_to_json(correction)),
            encode(correction.key),
            correction.is_settled,
        )

        async def work(connection: Any) -> bool:
            async with connection.transaction():
                await connection.execute(QUIET)
                return bool(await connection.execute(_ADD, *row) != "INSERT 0 0")

        if not await self._server.run(work):
            raise CorrectionExistsError(f"there is a correction {correction.number} already")
        self._last.note(correction.number)

    async def settle(self, number: int) -> None:
        """Note that a correction has been applied, see :meth:`CorrectionLog.settle`."""
        statement = "UPDATE correction SET is_settled = TRUE WHERE number = $1"
        await self._server.run(lambda connection: connection.execute(statement, number))

    async def corrections(self, after: int = 0) -> Sequence[Correction]:
        """Return corrections by number, see :meth:`CorrectionLog.corrections`."""
        found = await self._server.run(lambda connection: connection.fetch(_AFTER, after))
        read = [
            correction_from_json(decode(content), key=decode(key), is_settled=is_settled)
            for content, key, is_settled in found
        ]
        if read:
            self._last.note(read[-1].number)
        return read
