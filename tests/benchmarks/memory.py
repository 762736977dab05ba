"""Memory of a process and of those it has started, from /proc."""

from pathlib import Path

from attrs import define, field


def family(pid: int) -> list[int]:
    """Return a process and its descendants."""
    pids, seen = [pid], []
    while pids:
        current = pids.pop()
        seen.append(current)
        for children in Path(f"/proc/{current}/task").glob("*/children"):
            try:
                pids += [int(child) for child in children.read_text().split()]
            except OSError:
                continue
    return seen


def _status(pid: int, name: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), 0)


def _own(pid: int) -> int:
    """Memory that a process does not share: what another process like it would cost."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private"))


def private_memory(pid: int) -> int:
    """Return the bytes that a family of processes holds for itself now."""
    return sum(map(_own, family(pid)))


@define
class Peak:
    """The most resident memory that a family of processes had, from VmHWM of each."""

    pid: int
    start: int = field(init=False)
    marks: dict[int, int] = field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        """Begin at what it holds now."""
        for pid in family(self.pid):
            # Writing 5 begins VmHWM anew (proc(5)).
            Path(f"/proc/{pid}/clear_refs").write_text("5")
        self.start = sum(_status(pid, "VmRSS:") for pid in family(self.pid))

    def sample(self) -> None:
        """Note the marks of the processes that live."""
        for pid in family(self.pid):
            self.marks[pid] = max(self.marks.get(pid, 0), _status(pid, "VmHWM:"))

    @property
    def growth(self) -> int:
        """Bytes above the start; a process that was forked meanwhile counts by what it added."""
        main = self.marks.get(self.pid, 0) - self.start
        children = (mark - self.start for pid, mark in self.marks.items() if pid != self.pid)
        return max(0, main, *children)
