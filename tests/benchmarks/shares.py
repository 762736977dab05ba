"""Processes that get a share of a core each, so that many cores can be measured on few.

A group of processes gets so many microseconds of processor time in each period, and is stopped
until the next when it has had them (CFS bandwidth control, by the `cpu` controller of cgroups,
version 1 or 2). So four processes with a fifth of a core each stand for four slow cores, and
whoever makes the load has what is left. As their weight is high, they get it on a busy machine too.

A process that is stopped may hold a lock for which others wait: such waits are longer than on
cores of their own. The shorter the period, the less.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from attrs import frozen

PERIOD = 10_000
"""Microseconds."""
_WEIGHT_1, _WEIGHT_2 = 262_144, 10_000  # the most that `cpu.shares` and `cpu.weight` take
_MOUNTED_1, _MOUNTED_2 = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")


class NoSharesError(Exception):
    """This system, or this user, cannot give processes a share of a core."""


@frozen
class Controller:
    """Where groups are made, and in which form they are told their share.

    Attributes
    ----------
    mounted : Path
    version : int
        Of cgroups, 1 or 2.
    """

    mounted: Path
    version: int

    def make(self, parent: Path, name: str, share: float | None, period: int = PERIOD) -> Path:
        """Make a group that gets at most a share of a core, or what it wants.

        Raises
        ------
        NoSharesError
        """
        group = parent / name
        if self.version == 1:
            texts = {"cpu.shares": f"{_WEIGHT_1}"}
            if share is not None:
                texts["cpu.cfs_period_us"] = f"{period}"
                texts["cpu.cfs_quota_us"] = f"{round(period * share)}"
        else:
            texts = {"cpu.weight": f"{_WEIGHT_2}"}
            if share is not None:
                texts["cpu.max"] = f"{round(period * share)} {period}"
        try:
            if self.version == 2:
                (parent / "cgroup.subtree_control").write_text("+cpu")
            group.mkdir()
            for file, text in texts.items():
                (group / file).write_text(text)
        except OSError as error:
            with suppress(OSError):
                group.rmdir()
            raise NoSharesError(f"no group can be made that has a share: {error}") from error
        return group


def find_controller() -> Controller:
    """Return what divides processor time on this system.

    Raises
    ------
    NoSharesError
    """
    if (_MOUNTED_1 / "cpu.cfs_quota_us").exists():
        return Controller(_MOUNTED_1, 1)
    offered = _MOUNTED_2 / "cgroup.controllers"
    if offered.exists() and "cpu" in offered.read_text(encoding="ascii").split():
        return Controller(_MOUNTED_2, 2)
    raise NoSharesError("the cpu controller of cgroups is not mounted")


@frozen
class Shares:
    """A group for the load, which holds this process, and one for each process that is measured."""

    controller: Controller
    top: Path

    def give(self, process_id: int, share: float, period: int = PERIOD) -> None:
        """Let a process, with all that it starts, have at most a share of a core from now on."""
        group = self.controller.make(self.top, f"{process_id}", share, period)
        _move(process_id, group)


@contextmanager
def shares(controller: Controller | None = None) -> Iterator[Shares]:
    """Make groups until the end; this process, and what it starts, goes into one without a limit.

    Raises
    ------
    NoSharesError
        The system has none, or may not be asked to by this user.
    """
    controller = controller or find_controller()
    top = controller.make(controller.mounted, f"pacs-scaling-{os.getpid()}", None)
    back = controller.mounted / _own_group(controller.version)
    try:
        _move(os.getpid(), controller.make(top, "load", None))
        yield Shares(controller, top)
    finally:
        _move(os.getpid(), back)
        for group in (*top.glob("*/"), top):
            # What has not ended yet, as it does when it is told to, goes where this process was.
            for process_id in (group / "cgroup.procs").read_text(encoding="ascii").split():
                with suppress(OSError):
                    _move(int(process_id), back)
            group.rmdir()


def _own_group(version: int) -> str:
    """Return the path of this process's group below where groups are mounted."""
    for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "" if version == 2 else "cpu" in controllers.split(","):
            return path.lstrip("/")
    return ""


def _move(process_id: int, group: Path) -> None:
    try:
        (group / "cgroup.procs").write_text(f"{process_id}")
    except OSError as error:
        raise NoSharesError(f"process {process_id} cannot go into {group}: {error}") from error
