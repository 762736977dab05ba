"""Room on the disks of an archive: watched, so that it ends in a refusal and not in a failure.

The free space of every file system on which store and index keep something is measured once a
second while instances arrive, and now and then at rest. Below one mark operators are warned, below
another nothing more is taken, while the index can still be written. Other programs may fill the
disk all the same; then deleting would fail for want of room in the index. So a file of some size,
the reserve, is kept, and removed when something must be deleted, or an archive opened, on a full
disk.
"""

import logging
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from enum import IntEnum
from math import inf
from pathlib import Path
from time import monotonic
from typing import Final

import anyio
from anyio import to_thread
from attrs import define, field, setters

from pacs_core.archive.settings import SpaceSettings
from pacs_core.contracts import (
    AuditEvent,
    AuditFailedError,
    AuditKind,
    AuditTrail,
    AuditValue,
    Origin,
    Outcome,
    OutOfResourcesError,
)

_log = logging.getLogger(__name__)

ORIGIN: Final = Origin("space")
RESERVE: Final = ".reserve"
_MIB: Final = 1024 * 1024
_FULL: Final = 4 * _MIB
"""Bytes below which a disk counts as full."""
_INTERVAL: Final = 1.0
_IDLE_INTERVAL: Final = 15.0


class _State(IntEnum):
    ENOUGH = 0
    LOW = 1
    FULL = 2


_REPORTS: Final = {
    _State.ENOUGH: (logging.INFO, Outcome.SUCCESS, "there is enough room again"),
    _State.LOW: (logging.WARNING, Outcome.WARNING, "little room is left: free some"),
    _State.FULL: (
        logging.ERROR,
        Outcome.FAILURE,
        "too little room is left: nothing is stored until there is more; free some, or delete "
        "instances (pacs delete)",
    ),
}


def free_space(directory: Path) -> int:
    """Return the bytes that a process without privileges may still write below a directory."""
    status = os.statvfs(_nearest_existing(directory))
    return status.f_bavail * status.f_frsize


def _size_of(directory: Path) -> int:
    status = os.statvfs(_nearest_existing(directory))
    return status.f_blocks * status.f_frsize


def _nearest_existing(directory: Path) -> Path:
    return next(path for path in (directory, *directory.absolute().parents) if path.exists())


def release_reserve(directory: Path, *, if_full: bool = False) -> bool:
    """Remove the reserve of a directory; return whether there was one."""
    if if_full and (not directory.exists() or free_space(directory) >= _FULL):
        return False
    try:
        (directory / RESERVE).unlink()
    except OSError:
        return False
    _log.warning("the disk of %s is full: the reserve was released", directory)
    return True


def _keep_reserve(directory: Path, size: int) -> None:
    """Make the reserve, of blocks that really are its own."""
    fd = os.open(directory / RESERVE, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o660)
    try:
        if os.fstat(fd).st_size < size:
            # A file with holes would promise room that is not there.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(fd, 0, size)
            else:  # macOS
                for position in range(0, size, _MIB):
                    os.pwrite(fd, bytes(min(_MIB, size - position)), position)
    finally:
        os.close(fd)


def _one_for_each_disk(directories: Iterable[Path]) -> tuple[Path, ...]:
    found: dict[int, Path] = {}
    for directory in directories:
        # Directories on one disk share its room, and would report it several times.
        found.setdefault(os.stat(_nearest_existing(directory)).st_dev, directory)
    return tuple(found.values())


@define(eq=False, on_setattr=setters.NO_OP)  # what is counted with each needs no conversion
class SpaceWatch:
    """Watches over the room for what an archive keeps.

    Parameters
    ----------
    directories : iterable of Path
        Where store, index and others keep files.
    settings : SpaceSettings
    audit : AuditTrail
    """

    _directories: tuple[Path, ...] = field(converter=_one_for_each_disk)
    _settings: SpaceSettings
    _audit: AuditTrail
    _state: _State = _State.ENOUGH
    _keeps_reserve: bool = False
    _free: int = 0
    _spent: int = 0
    _due: float = 0.0

    async def admit(self) -> None:
        """Let an instance come in.

        Raises
        ------
        OutOfResourcesError
            There is too little room.
        """
        if monotonic() >= self._due or self._passes_a_mark():
            await self.measure()
        if self._state is _State.FULL:
            raise OutOfResourcesError(
                f"only {self._free // _MIB} MiB are free on the disk of the archive, which keeps "
                f"{self._settings.minimum // _MIB} MiB for its index"
            )

    @property
    def problem(self) -> str:
        """Why there is too little room, or will soon be; empty if there is enough."""
        if self._state is _State.ENOUGH:
            return ""
        return f"{self._free // _MIB} MiB are free: {_REPORTS[self._state][2]}"

    @property
    def refusal(self) -> str:
        """Why nothing is stored; empty if something is."""
        return self.problem if self._state is _State.FULL else ""

    async def rooms(self) -> list[tuple[Path, int, int]]:
        """Return a directory on each disk, the bytes that are free there, and all that it has."""

        def look() -> list[tuple[Path, int, int]]:
            return [(each, free_space(each), _size_of(each)) for each in self._directories]

        return await to_thread.run_sync(look, abandon_on_cancel=True)

    def _passes_a_mark(self) -> bool:
        """Tell whether what was written since the last measurement may have made a difference."""
        marks = {_State.ENOUGH: self._settings.warning, _State.LOW: self._settings.minimum}
        return self._spent > 0 and self._free - self._spent < marks.get(self._state, 0)

    def spend(self, size: int) -> None:
        """Take account of bytes that were written since the last measurement."""
        self._spent += size

    async def measure(self) -> None:
        """Look how much is free, and report if that has become too little, or enough again."""
        if not self._directories:
            self._due, self._free = inf, sys.maxsize
            return
        # Before the look: instances that come meanwhile must not all look as well.
        self._due, self._spent = monotonic() + _INTERVAL, 0
        try:
            free, where = await to_thread.run_sync(self._look)
        except OSError as error:
            _log.warning("the free space of the archive cannot be measured: %s", error)
            return
        self._free = free
        state = self._judge(free)
        if state is not self._state:
            # Reported when it changes, not with each measurement.
            self._state = state
            await self._report(free, where)

    def _look(self) -> tuple[int, Path]:
        found = [(free_space(directory), directory) for directory in self._directories]
        if self._keeps_reserve:
            for free, directory in found:
                # What the reserve takes must not be what makes the room too little.
                if free > self._settings.minimum + 2 * self._settings.reserve:
                    with suppress(OSError):
                        _keep_reserve(directory, self._settings.reserve)
        return min(found)

    def _judge(self, free: int) -> _State:
        if free < self._settings.minimum:
            return _State.FULL
        return _State.LOW if free < self._settings.warning else _State.ENOUGH

    async def _report(self, free: int, where: Path) -> None:
        level, outcome, text = _REPORTS[self._state]
        _log.log(level, "%s: %d MiB are free: %s", where, free // _MIB, text)
        details: dict[str, AuditValue] = {
            "directory": str(where),
            "free_bytes": free,
            "meaning": text,
        }
        with suppress(AuditFailedError):  # the sink may be on the same disk
            await self._audit.record(AuditEvent(AuditKind.SPACE, outcome, ORIGIN, details))

    def release_reserve(self) -> bool:
        """Make room for something to be deleted; return whether that could be done."""
        released = [release_reserve(directory) for directory in self._directories]
        return any(released)

    async def watch(self, *, keep_reserve: bool) -> None:
        """Measure now and then until cancelled.

        Parameters
        ----------
        keep_reserve : bool
            Whether to keep a reserve while there is enough room for it.
        """
        self._keeps_reserve = keep_reserve and self._settings.reserve > 0
        while self._directories:
            await self.measure()
            await anyio.sleep(_IDLE_INTERVAL)
