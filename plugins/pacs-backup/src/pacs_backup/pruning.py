"""Forgets backups, and deletes contents that no other backup has.

Theory of operation
-------------------
Lists go first, contents after: who is killed in between leaves contents that no list names, and the
next run deletes those. A content that any list names stays, however many lists named it; so a list
that cannot be read keeps everything from being deleted, for nobody knows what it names.

The latest backup that can be restored is never forgotten, whatever the rules say.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from attrs import define, field, frozen

from pacs_backup.repository import NAME_FORMAT, BackupError, Repository
from pacs_core.api.files import sync_directory

_PERIODS: Final[dict[str, Callable[[datetime], str]]] = {
    "last": datetime.isoformat,
    "daily": lambda when: f"{when:%Y-%m-%d}",
    "weekly": lambda when: f"{when:%G-W%V}",
    "monthly": lambda when: f"{when:%Y-%m}",
    "yearly": lambda when: f"{when:%Y}",
}


@frozen
class Rules:
    """How many backups are kept: the latest of each of so many periods that have one."""

    last: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0

    def keep(self, names: Iterable[str]) -> set[str]:
        """Return the backups that a rule keeps, and those whose name is no time."""
        kept: set[str] = set()
        times: dict[str, datetime] = {}
        for name in sorted(names, reverse=True):
            try:
                times[name] = datetime.strptime(name, NAME_FORMAT).replace(tzinfo=UTC)
            except ValueError:
                kept.add(name)
        for rule, period in _PERIODS.items():
            seen: set[str] = set()
            for name, when in times.items():
                if period(when) not in seen and len(seen) < getattr(self, rule):
                    seen.add(period(when))
                    kept.add(name)
        return kept


@define
class Pruning:
    """What is forgotten, and what is deleted with it.

    Attributes
    ----------
    repository : Repository
    kept, forgotten : list of str
        Names of backups.
    files : list of Path
        Contents and leavings of backups that did not end.
    size : int
        Of these, in bytes.
    """

    repository: Repository
    kept: list[str]
    forgotten: list[str]
    files: list[Path] = field(factory=list)
    size: int = 0

    @classmethod
    def plan(cls, repository: Repository, rules: Rules) -> "Pruning":
        """Return what the rules mean; nothing is changed.

        Raises
        ------
        BackupError
            A list that stays cannot be read.
        """
        names = repository.names
        kept = rules.keep(names)
        good = next((name for name in reversed(names) if _is_good(repository, name)), None)
        if good is not None:
            kept.add(good)
        pruning = cls(repository, sorted(kept), sorted(set(names) - kept))
        needed: set[str] = set()
        for name in pruning.kept:
            try:
                needed.update(entry.sha256 for entry in repository.entries(name))
            except BackupError as error:
                raise BackupError(
                    f"{error}; nothing is deleted as long as nobody knows what it needs: repair "
                    "or delete that list"
                ) from error
        for path in repository.files():
            if path.name not in needed:
                pruning.files.append(path)
                pruning.size += path.stat().st_size
        return pruning

    def run(self) -> None:
        """Do it; may be interrupted, and run again."""
        for name in self.forgotten:
            self.repository.list_of(name).unlink(missing_ok=True)
        sync_directory(self.repository.lists)
        for path in self.files:
            path.unlink(missing_ok=True)


def _is_good(repository: Repository, name: str) -> bool:
    """Tell whether a backup has all that it names, by its length."""
    try:
        return all(
            entry.kind == "link" or not entry.sha256 or repository.has(entry)
            for entry in repository.entries(name)
        )
    except BackupError:
        return False
