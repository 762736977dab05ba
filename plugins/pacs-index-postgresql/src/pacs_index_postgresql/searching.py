"""A search under way: no transaction and no connection is held between batches.

So a stalled reader keeps nobody waiting, and a connection that is lost does not matter.
"""

from typing import Any, Final

from attrs import define, field, frozen

from pacs_core.contracts import Fingerprint
from pacs_core.relational import Matching, Paging, Reading
from pacs_index_postgresql.dialect import Probe, render
from pacs_index_postgresql.errors import UnavailableIndexError
from pacs_index_postgresql.rebuilding import era_of
from pacs_index_postgresql.server import Server
from pacs_index_postgresql.text import decode

_LAST: Final = "SELECT last_value FROM instance_id_seq"


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

    async def fingerprint(self, matching: Matching) -> Fingerprint:
        """Return the fingerprint of the instances that match."""
        rows = await self.fetch(*matching.contents_statement())
        return Fingerprint.of((decode(uid), *content) for uid, *content in rows)


@define(eq=False)
class RunningSearch:
    """A search under way: what is left of it, and the index of which it has found ids."""

    searcher: Searcher
    paging: Paging
    reading: Reading
    _era: int | None = field(default=None, init=False)

    async def batch(self) -> list[Any]:
        """Return the next results; none if there are no more, or what was found is gone.

        Raises
        ------
        UnavailableIndexError
            The index has been built anew since the search began.
        """
        paging, fetch = self.paging, self.searcher.fetch
        if (page := paging.next_page()) is not None:
            paging.take_page([tuple(row) for row in await fetch(*page)])
        ids = paging.next_ids()
        if not ids:
            return []
        reading = self.reading
        parameters = (*reading.scope.parameters, tuple(ids))
        rows = await fetch(reading.scope.text + reading.statement, parameters)
        found = era_of(ids[0])
        if len(rows) < len(ids):
            found = era_of((await fetch(_LAST, ()))[0][0])
        if found != (self._era or era_of(ids[0])):
            raise UnavailableIndexError(
                "the index has been built anew since this search began: search again"
            )
        self._era = found
        return [reading.convert([decode(value) for value in row]) for row in rows]
