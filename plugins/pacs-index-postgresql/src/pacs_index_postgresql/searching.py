"""A search under way: ids in pages, then their rows in batches.

No transaction and no connection is held between batches, so that a stalled reader keeps nobody
waiting, and a connection that is lost does not matter. What is removed in between is left out. Each
result is consistent in itself.
"""

from typing import Any

from attrs import define, field, frozen

from pacs_core.relational import Key, Matching, Reading
from pacs_index_postgresql.dialect import Probe, render
from pacs_index_postgresql.server import Server
from pacs_index_postgresql.text import decode

PAGE = 65_536
FIRST_BATCH = 32
BATCH = 512


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

    async def read(self, reading: Reading, ids: list[int]) -> list[Any]:
        """Return what is still there of the ids."""
        parameters = (*reading.scope.parameters, tuple(ids))
        rows = await self.fetch(reading.scope.text + reading.statement, parameters)
        return [reading.convert([decode(value) for value in row]) for row in rows]


@define
class RunningSearch:
    """Reads batch after batch, each in calls that leave nothing open."""

    _searcher: Searcher
    _matching: Matching
    _reading: Reading
    _limit: int | None
    _skip: int
    _keys: list[Key] = field(factory=list, init=False)
    _taken: int = field(default=0, init=False)
    _after: Key = field(default=(), init=False)
    _complete: bool = field(default=False, init=False)
    _size: int = field(default=FIRST_BATCH, init=False)

    @property
    def is_exhausted(self) -> bool:
        """Whether there are no further results."""
        return self._complete and self._taken == len(self._keys)

    async def batch(self) -> list[Any]:
        """Return the next results; none if there are no more, or what was found is gone."""
        if self._taken == len(self._keys):
            await self._next_page()
        keys = self._keys[self._taken : self._taken + self._size]
        self._taken += len(keys)
        self._size = BATCH
        return await self._searcher.read(self._reading, [key[-1] for key in keys]) if keys else []

    async def _next_page(self) -> None:
        size = PAGE if self._limit is None else min(PAGE, self._limit)
        statement = self._matching.statement(self._after, size, self._skip)
        self._keys = [tuple(row) for row in await self._searcher.fetch(*statement)]
        self._taken = 0
        is_sorted = bool(self._matching.sorting.text)
        self._skip = self._skip + len(self._keys) if is_sorted else 0
        if self._limit is not None:
            self._limit -= len(self._keys)
        self._complete = len(self._keys) < size or self._limit == 0
        self._after = self._keys[-1] if self._keys and not is_sorted else ()
