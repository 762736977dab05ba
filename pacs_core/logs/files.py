"""A file of the log that many processes append to, and any of them, or logrotate, sets aside."""

import os
import re
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

_MODE: Final = 0o666  # less the umask, which follows from [node] file_mode
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
_SET_ASIDE: Final = re.compile(r"\.\d{8}T\d{6}\.\d{6}Z")


class LogFile:
    """Appends lines to a file, each by one write, wherever the file is renamed to.

    Parameters
    ----------
    path : Path
    max_bytes : int
        Size from which the file is set aside; 0 means never.
    daily : bool
        Whether that is done with the first line of a new day, by UTC.
    backups : int
        How many files that were set aside are kept; 0 means all.
    """

    def __init__(self, path: Path, max_bytes: int, *, daily: bool, backups: int) -> None:
        self._path, self._max_bytes, self._daily = path.absolute(), max_bytes, daily
        self._backups = backups
        self._descriptor = -1
        self._is_cut = False
        """Whether the last line was written in part."""

    def write(self, line: bytes) -> None:
        """Append a line.

        Raises
        ------
        OSError
            It is not in the file, or not all of it.
        """
        found = self._follow()
        if self._is_due(found):
            self._set_aside()
            self._follow()
        if self._is_cut:
            line = b"\n" + line
        count = os.write(self._descriptor, line)
        self._is_cut = count < len(line)
        if self._is_cut:
            raise OSError(f"{self._path}: {count} of {len(line)} bytes were written")

    def close(self) -> None:
        """Close it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _follow(self) -> os.stat_result:
        """Open the file that the path leads to, unless it is open; return how it is."""
        try:
            found = os.stat(self._path)
            if self._descriptor >= 0 and os.path.samestat(found, os.fstat(self._descriptor)):
                return found
        except FileNotFoundError:
            pass
        self.close()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self._path, _FLAGS, _MODE)
        self._is_cut = False
        return os.fstat(self._descriptor)

    def _is_due(self, found: os.stat_result) -> bool:
        if found.st_size == 0:
            return False
        if self._max_bytes and found.st_size >= self._max_bytes:
            return True
        return self._daily and _day_of(found.st_mtime) < datetime.now(UTC).date()

    def _set_aside(self) -> None:
        """Rename the file, unless another process has done it, or does it now."""
        try:
            import fcntl
        except ImportError:  # on Windows a file that others have open cannot be renamed
            return
        # Opened anew: a lock belongs to an open file, and ours is our siblings' since the fork.
        try:
            locked = os.open(self._path, os.O_RDONLY)
        except FileNotFoundError:
            return
        try:
            fcntl.flock(locked, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found = os.stat(self._path)
            if os.path.samestat(found, os.fstat(locked)) and self._is_due(found):
                # No two have a name: the lock is held, and renaming takes longer than its unit.
                stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
                self._path.rename(self._path.with_name(f"{self._path.name}.{stamp}"))
                self._forget_old()
        except (BlockingIOError, FileNotFoundError):
            return
        finally:
            os.close(locked)

    def _forget_old(self) -> None:
        if not self._backups:
            return
        old = [
            path
            for path in self._path.parent.iterdir()
            if path.name.startswith(self._path.name)
            and _SET_ASIDE.fullmatch(path.name[len(self._path.name) :])
        ]
        for path in sorted(old)[: -self._backups]:
            with suppress(OSError):
                path.unlink()


def _day_of(moment: float) -> date:
    return datetime.fromtimestamp(moment, UTC).date()
