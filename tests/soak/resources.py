"""Memory, descriptors, threads and passing files of a node, from /proc and its directories.

Theory of operation
-------------------
What a node holds under load changes from one moment to the next, and what it keeps open grows until
each of its pools has been full once. So two things are asked. At rest, that is, with all work done
and no client there, a node that has met every kind of work before must hold no more than it held at
its rest before that (:meth:`Resources.growth`). Under load, a series of samples must have levelled
off (:meth:`Series.growth`): the middle of the last samples lies no higher than that of some
before, which finds what a comparison of two moments would take for chance.

Descriptors are counted by kind, so that a finding names what was left open. Kinds of which a node
keeps some on purpose may grow to what it keeps at the most.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Final

from attrs import define, field, frozen

from ..benchmarks.memory import family, private_memory

KINDS: Final[dict[str, str]] = {
    r"socket:": "sockets",
    r"pipe:": "pipes",
    r"/database\.sqlite(-wal)?$": "database",
    r"/index\.sqlite(-wal)?$": "index",
    r"/objects/.*\.dcm": "objects",
    r"/objects": "directories",
    r"/journal-": "journal",
}
"""The first that is found in what a descriptor leads to is its kind."""
KEPT: Final[dict[str, int]] = {
    # The store keeps 128 open (pacs_store_filesystem.directories.MAX_OPEN), and those above them.
    "directories": 150,
    # SQLAlchemy keeps 5 connections and opens up to 10 more, each with its write-ahead log. SQLite
    # closes a file only when no connection of the process has a lock on it, and uses it until then
    # for the next that is opened: as many stay as once were open at the same time.
    "database": 30,
    # One that writes, one that looks up, and those that search ([plugin.index-sqlite] readers).
    "index": 20,
}
"""Descriptors that one process keeps open at the most, for what comes next."""
MARGIN: Final = 2
"""Descriptors of any other kind that may be more at one rest than at another: a file just read."""
LEVEL_FROM: Final = 24
"""Samples below which nothing is said about levelling."""


@frozen
class Resources:
    """What a family of processes holds.

    Attributes
    ----------
    processes, threads, memory : int
        Memory in bytes that no other process shares.
    descriptors : Counter of str
        By kind.
    files : int
        Files that belong to something that is under way.
    databases : int
        Bytes of files of SQLite, parts of which each connection keeps in memory.
    """

    processes: int
    threads: int
    memory: int
    files: int
    descriptors: Counter[str]
    databases: int = 0

    @classmethod
    def of(cls, pid: int, data: Path, temporary: Path) -> "Resources":
        """Return what a process, with those it has started, holds now."""
        pids = family(pid)
        objects = [name for name in _files(data / "objects") if not name.endswith(".dcm")]
        return cls(
            len(pids),
            sum(len(_list(f"/proc/{each}/task")) for each in pids),
            private_memory(pid),
            len([*objects, *_files(temporary)]),
            sum((_descriptors(each) for each in pids), Counter[str]()),
            sum(path.stat().st_size for path in data.glob("*.sqlite")),
        )

    def __str__(self) -> str:
        """Describe it in a line."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.descriptors.most_common(8))
        return (
            f"{self.memory / 1e6:.0f} MB, {self.processes} processes, {self.threads} threads, "
            f"{self.databases / 1e6:.0f} MB of databases, {self.files} passing files, "
            f"{self.descriptors.total()} descriptors ({kinds})"
        )

    def growth(self, before: "Resources") -> list[str]:
        """Name what is more than at an earlier rest."""
        found = [
            f"{name} grew from {getattr(before, name)} to {getattr(self, name)}"
            for name, limit in {
                "processes": before.processes,
                "threads": before.threads + 10,
                "memory": before.memory * 1.25 + 32e6,
                "files": before.files,
            }.items()
            if getattr(self, name) > limit
        ]
        for kind, count in self.descriptors.items():
            earlier = before.descriptors[kind]
            if count > max(earlier + MARGIN, KEPT.get(kind, 0) * self.processes):
                found.append(f"descriptors of {kind} grew from {earlier} to {count}")
        return found


@define
class Series:
    """Samples of one life under load, at equal distances.

    Attributes
    ----------
    samples : list of Resources
    """

    samples: list[Resources] = field(factory=list)

    def growth(self) -> list[str]:
        """Name what has grown still in the second half of the samples.

        The middle of its last third must not be above that of its first by more than chance.
        """
        half = self.samples[len(self.samples) // 2 :]
        if len(half) < LEVEL_FROM // 2:
            return []
        third = len(half) // 3
        found = []
        for name, share, margin in (
            ("memory", 0.05, 5e6),
            ("threads", 0.05, 3),
            ("descriptors", 0.05, 3),
        ):
            values = [float(_size(getattr(each, name))) for each in half]
            first, last = median(values[:third]), median(values[-third:])
            if last > first * (1 + share) + margin:
                found.append(f"{name} did not level off: {first:.0f}, and then {last:.0f}")
        return found

    def __str__(self) -> str:
        """Describe what the tenths of the series held, by their middle."""
        count = len(self.samples)
        edges = [count * number // 10 for number in range(11)]
        parts = [self.samples[begin:end] for begin, end in pairwise(edges) if end > begin]
        return "; ".join(
            f"{median(each.memory for each in part) / 1e6:.0f} MB, "
            f"{median(each.threads for each in part):.0f} threads, "
            f"{median(each.descriptors.total() for each in part):.0f} descriptors"
            for part in parts
        )


def _files(folder: Path) -> Iterator[str]:
    """Yield the names of files below a folder, while others may go."""
    for _, _, names in os.walk(folder):
        yield from names


def _size(value: "int | Counter[str]") -> int:
    return value.total() if isinstance(value, Counter) else value


def _descriptors(pid: int) -> Counter[str]:
    kinds = Counter[str]()
    for name in _list(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:  # closed meanwhile
            continue
        named = (kind for pattern, kind in KINDS.items() if re.search(pattern, target))
        kinds[next(named, Path(target).name)] += 1
    return kinds


def _list(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []
