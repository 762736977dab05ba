"""A search under way: no transaction and no connection is held between batches.

So a stalled reader keeps nobody waiting, and a connection that is lost does not matter.
"""

from typing import Any

from attrs import frozen

from pacs_core.relational import Matching, Paging, Reading
from pacs_index_postgresql.dialect import Probe, render
from pacs_index_postgresql.server import Server
from pacs_index_postgresql.text import decode


@frozen
class Searcher:
    """Runs statements of the shared translation."""

    server: Server

    async def fetch(self, text: str, parameters: tuple[Any, ...]) -> list[Any]:
        """Return the rows of a statement, after its probes."""
        answers: dict[int, list[str]] = {}
        for value in parameters:
            if isinstance(value, Probe) and id(value) not in answers:
                rows = await self.fetch(value.statement, value.parameters)
                answers[id(value)] = [row[0] for row in rows if value.test(decode(row[0]))]
        values = tuple(tuple(answers[id(v)]) if isinstance(v, Probe) else v for v in parameters)
        statement, bound = render(text, values)
        found: list[Any] = await self.server.run(
            lambda connection: connection.fetch(statement, *bound), long=True
        )
        return found

    async def count(self, matching: Matching) -> int:
        """Return how many rows match."""
        return int((await self.fetch(*matching.count_statement()))[0][0])

    async def batch(self, paging: Paging, reading: Reading) -> list[Any]:
        """Return the next results; none if there are no more, or what was found is gone."""
        if (page := paging.next_page()) is not None:
            paging.take_page([tuple(row) for row in await self.fetch(*page)])
        ids = paging.next_ids()
        return await self._read(reading, ids) if ids else []

    async def _read(self, reading: Reading, ids: list[int]) -> list[Any]:
        """Return what is still there of the ids."""
        parameters = (*reading.scope.parameters, tuple(ids))
        rows = await self.fetch(reading.scope.text + reading.statement, parameters)
        return [reading.convert([decode(value) for value in row]) for row in rows]
