"""What :mod:`.scaling` measures: cases, and how many associations there are."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from attrs import evolve, frozen

from pacs_core.contracts import Durability

from .contestant import Contestant
from .contestants import CONTESTANTS
from .targets import alone

_TITLES: Final = {"small": "15 KB", "ct": "527 KB"}
_NAMES: Final = {
    "ours-none": "`none`",
    "ours-no-journal": "`commit`",
    "ours-commit": "`commit`, journal",
    "ours-postgresql": "`commit`, PostgreSQL",
}
ROWS_ARE: Final = {
    "ours-none": Durability.NONE,
    "ours-no-journal": Durability.COMMIT,
    "ours-commit": Durability.WRITE_BEHIND,
}
"""How durable a row of SQLite is when it is committed: with a journal it is synced later."""
_CASES: Final = (
    ("small", "ours-commit", "tmpfs", "apart"),
    ("small", "ours-none", "tmpfs"),
    ("small", "ours-no-journal", "tmpfs"),
    ("small", "ours-commit", "tmpfs"),
    ("small", "ours-commit", "disk"),
    ("small", "ours-postgresql", "disk"),
    ("ct", "ours-none", "tmpfs", "apart"),
    ("ct", "ours-none", "tmpfs"),
    ("ct", "ours-no-journal", "disk"),
)


@frozen
class Case:
    """What is measured: objects of a size, by a contestant, and where its data lie.

    `apart` means as many nodes of one worker each, which share nothing: the control.
    """

    size: str
    contestant: Contestant
    place: str
    apart: bool = False

    @property
    def name(self) -> str:
        """As in the table."""
        words = (_TITLES[self.size], _NAMES[self.contestant.name], self.place)
        return ", ".join(words) + ", nodes apart" * self.apart


@frozen
class Plan:
    """How it is measured."""

    share: float
    period: int
    associations: int
    in_all: int
    seconds: float
    counts: Sequence[int]

    @property
    def load(self) -> str:
        """How many associations there are, in words."""
        if self.in_all:
            return f"{self.in_all} associations in all"
        return f"{self.associations} associations for each worker"

    def senders(self, workers: int) -> int:
        """Return how many associations there are for so many workers."""
        return self.in_all or self.associations * workers


def cases_named(only: str) -> Iterator[Case]:
    """Iterate over cases that can be measured here, and whose names have something in them."""
    known = {contestant.name: contestant for contestant in CONTESTANTS}
    for size, name, place, *apart in _CASES:
        case = Case(size, alone(known[name], {"index-postgresql"}), place, bool(apart))
        if only in case.name and not case.contestant.missing():
            yield case


def with_workers(contestant: Contestant, count: int) -> Contestant:
    """Return a contestant of ours with so many workers."""

    def command(directory: Path, port: int, move_port: int) -> Sequence[str]:
        return [*contestant.command(directory, port, move_port), "--workers", str(count)]

    return evolve(contestant, command=command)
