"""Memory, descriptors, threads and passing files of a node, from /proc and its directories."""

from pathlib import Path

from attrs import frozen

from ..benchmarks.memory import family, private_memory


@frozen
class Resources:
    """What a family of processes holds.

    Attributes
    ----------
    processes, descriptors, threads, memory : int
        Memory in bytes that no other process shares.
    files : int
        Files that belong to something that is under way.
    """

    processes: int
    descriptors: int
    threads: int
    memory: int
    files: int

    @classmethod
    def of(cls, pid: int, data: Path, temporary: Path) -> "Resources":
        """Return what a process, with those it has started, holds now."""
        pids = family(pid)
        passing = [
            *temporary.rglob("*"),
            *(path for path in (data / "objects").rglob("*") if path.suffix != ".dcm"),
        ]
        return cls(
            len(pids),
            sum(_count(f"/proc/{each}/fd") for each in pids),
            sum(_count(f"/proc/{each}/task") for each in pids),
            private_memory(pid),
            sum(path.is_file() for path in passing),
        )

    def growth(self, before: "Resources") -> list[str]:
        """Name what has grown by more than changes from one moment to the next."""
        limits = {
            "processes": before.processes,
            "descriptors": before.descriptors + 10,
            "threads": before.threads + 10,
            "memory": before.memory * 1.25 + 32e6,
            "files": before.files,
        }
        return [
            f"{name} grew from {getattr(before, name)} to {getattr(self, name)}"
            for name, limit in limits.items()
            if getattr(self, name) > limit
        ]


def _count(path: str) -> int:
    try:
        return len(list(Path(path).iterdir()))
    except OSError:
        return 0
