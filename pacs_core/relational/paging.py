"""The course of a search: ids in pages, then the rows of these ids in batches.

Whoever runs it asks for the next statement as long as there is one, hands its rows in, and reads
the rows of the next ids. Nothing is held open in between, so that a stalled reader keeps nobody
waiting. What is removed meanwhile is left out; each result is consistent in itself.
"""

from collections.abc import Sequence
from typing import Any, Final

from attrs import define, field

from pacs_core.relational.statements import Key, Matching

PAGE: Final = 65_536
FIRST_BATCH: Final = 32
BATCH: Final = 512


@define
class Paging:
    """How far a search has come.

    Parameters
    ----------
    matching : Matching
    limit : int or None
        Results at most.
    skip : int
        Results to leave out.
    """

    _matching: Matching
    _limit: int | None
    _skip: int
    _keys: Sequence[Key] = field(factory=list, init=False)
    _taken: int = field(default=0, init=False)
    _after: Key = field(default=(), init=False)
    _complete: bool = field(default=False, init=False)
    _size: int = field(default=FIRST_BATCH, init=False)

    @property
    def is_exhausted(self) -> bool:
        """Whether there are no further results."""
        return self._complete and self._taken == len(self._keys)

    def next_page(self) -> tuple[str, tuple[Any, ...]] | None:
        """Return the statement for more keys, and its parameters; None if there are some left."""
        if self._taken < len(self._keys):
            return None
        return self._matching.statement(self._after, self._page_size, self._skip)

    def take_page(self, keys: Sequence[Key]) -> None:
        """Take what the statement has found."""
        self._complete = len(keys) < self._page_size
        self._keys, self._taken = keys, 0
        is_sorted = bool(self._matching.sorting.text)
        self._skip = self._skip + len(keys) if is_sorted else 0
        self._after = keys[-1] if keys and not is_sorted else ()
        if self._limit is not None:
            self._limit -= len(keys)
            self._complete |= self._limit == 0

    def next_ids(self) -> list[int]:
        """Return the ids of the next batch; none if there are no more."""
        keys = self._keys[self._taken : self._taken + self._size]
        self._taken += len(keys)
        self._size = BATCH
        return [key[-1] for key in keys]

    @property
    def _page_size(self) -> int:
        return PAGE if self._limit is None else min(PAGE, self._limit)
