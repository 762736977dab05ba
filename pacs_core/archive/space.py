"""Room on the disks of an archive: watched, so that it ends in a refusal and not in a failure.

The free space of every file system on which store and index keep something, and how many files may
be made there, is measured once a second while instances arrive, and now and then at rest. Below one
mark operators are warned, below another nothing more is taken, while the index can still be
written. Other programs may fill the disk all the same; then deleting would fail for want of room in
the index. So a file of some size, the reserve, is kept, and removed when something must be deleted,
or an archive opened, on a full disk; and some empty ones with it, where files are what is full.
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
from attrs import define, evolve, field, frozen, setters

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
_RESERVED_FILES: Final = tuple(f"{RESERVE}-{number}" for number in range(1, 17))
"""Empty ones, so that a disk on which no file can be made has some for what deleting makes."""
_MIB: Final = 1024 * 1024
_FULL: Final = 4 * _MIB
"""Bytes below which a disk counts as full."""
_FILES: Final = 64
"""Files that store nothing, but let the index be written, and something be deleted."""
_FILES_OF_INSTANCE: Final = 3
"""What an instance makes at most: its own, and the directories of its series and study."""
_LITTLE: Final = 100
"""The part of all files of a disk below which those that are left are few."""
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


@frozen
class _Room:
    """What is left on a disk; infinitely many files where it does not count them."""

    directory: Path
    free: int = 0
    size: int = 0
    files: float = inf
    all_files: int = 0

    @classmethod
    def measure(cls, directory: Path) -> "_Room":
        status = os.statvfs(_nearest_existing(directory))
        files = status.f_favail if status.f_files else inf
        free, size = status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize
        return cls(directory, free, size, files, status.f_files)

    @property
    def few_files(self) -> float:
        return max(self.all_files / _LITTLE, _FILES)

    def __str__(self) -> str:
        """Name what there is too little of."""
        if self.files < self.few_files:
            return f"{self.files:.0f} more files (inodes) may be made"
        return f"{self.free // _MIB} MiB are free"


def _nearest_existing(directory: Path) -> Path:
    return next(path for path in (directory, *directory.absolute().parents) if path.exists())


def release_reserve(directory: Path, *, if_full: bool = False) -> bool:
    """Remove the reserve of a directory; return whether there was one."""
    if if_full:
        if not directory.exists():
            return False
        room = _Room.measure(directory)
        if room.free >= _FULL and room.files >= len(_RESERVED_FILES):
            return False
    for name in _RESERVED_FILES:
        with suppress(OSError):
            (directory / name).unlink()
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
    if not (directory / _RESERVED_FILES[-1]).exists():
        for name in _RESERVED_FILES:
            (directory / name).touch(0o660)


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
    _room: _Room = _Room(Path())
    _spent: int = 0
    _made: int = 0
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
                f"only {self._room} on the disk of the archive, which keeps "
                f"{self._settings.minimum // _MIB} MiB and {_FILES} files for its index"
            )

    @property
    def problem(self) -> str:
        """Why there is too little room, or will soon be; empty if there is enough."""
        if self._state is _State.ENOUGH:
            return ""
        return f"{self._room}: {_REPORTS[self._state][2]}"

    @property
    def refusal(self) -> str:
        """Why nothing is stored; empty if something is."""
        return self.problem if self._state is _State.FULL else ""

    async def rooms(self) -> list[tuple[Path, int, int]]:
        """Return a directory on each disk, the bytes that are free there, and all that it has."""

        def look() -> list[tuple[Path, int, int]]:
            found = [_Room.measure(each) for each in self._directories]
            return [(each.directory, each.free, each.size) for each in found]

        return await to_thread.run_sync(look, abandon_on_cancel=True)

    def _passes_a_mark(self) -> bool:
        """Tell whether what was written since the last measurement may have made a difference."""
        if not self._spent or self._state is _State.FULL:
            return False
        room, enough = self._room, self._state is _State.ENOUGH
        return room.free - self._spent < (
            self._settings.warning if enough else self._settings.minimum
        ) or room.files - self._made < (room.few_files if enough else _FILES)

    def spend(self, size: int) -> None:
        """Take account of an instance that was written since the last measurement."""
        self._spent += size
        self._made += _FILES_OF_INSTANCE

    async def measure(self) -> None:
        """Look how much is free, and report if that has become too little, or enough again."""
        if not self._directories:
            self._due, self._room = inf, evolve(self._room, free=sys.maxsize)
            return
        # Before the look: instances that come meanwhile must not all look as well.
        self._due, self._spent, self._made = monotonic() + _INTERVAL, 0, 0
        try:
            self._room = await to_thread.run_sync(self._look)
        except OSError as error:
            _log.warning("the free space of the archive cannot be measured: %s", error)
            return
        state = self._judge(self._room)
        if state is not self._state:
            # Reported when it changes, not with each measurement.
            self._state = state
            await self._report(self._room)

    def _look(self) -> _Room:
        """Return the room of the disk that has least of what it needs."""
        found = [_Room.measure(directory) for directory in self._directories]
        if self._keeps_reserve:
            for each in found:
                # What the reserve takes must not be what makes the room too little.
                if (
                    each.free > self._settings.minimum + 2 * self._settings.reserve
                    and each.files > _FILES + 2 * len(_RESERVED_FILES)
                ):
                    with suppress(OSError):
                        _keep_reserve(each.directory, self._settings.reserve)
        return min(found, key=lambda room: (-self._judge(room), room.free))

    def _judge(self, room: _Room) -> _State:
        if room.free < self._settings.minimum or room.files < _FILES:
            return _State.FULL
        few = room.free < self._settings.warning or room.files < room.few_files
        return _State.LOW if few else _State.ENOUGH

    async def _report(self, room: _Room) -> None:
        level, outcome, text = _REPORTS[self._state]
        _log.log(level, "%s: %s: %s", room.directory, room, text)
        details: dict[str, AuditValue] = {
            "directory": str(room.directory),
            "free_bytes": room.free,
            "meaning": text,
        }
        if room.all_files:
            details["free_files"] = int(room.files)
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
