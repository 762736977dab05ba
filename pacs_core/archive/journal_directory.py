"""Directories of journals: who writes one, and how others ask for a flush."""

import errno
import os
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from pathlib import Path
from struct import Struct
from typing import Final

import anyio
from attrs import define, field

from pacs_core.archive.journal_files import (
    MODE,
    SEGMENT_SIZE,
    Segment,
    make_segment,
    read_records,
)
from pacs_core.concurrency.files import sync_directory, try_lock

# Theory of operation
#
# Each process that writes a journal has a directory of its own, `journal-N`, with
#
#   segment-*  what was acknowledged, see `journal_files`
#   lock       held by the writer as long as it lives; the system lets it go with the process
#   ask        a FIFO that the writer has open: a byte from another process asks for a flush. Where
#              nobody has it open, the writer has died. It is there before the segments
#   flushes    two numbers: of the last flush for others that has begun, and of the last that is
#              done. Who reads the first, then asks, and sees the second rise above it, knows that
#              a flush began after it had asked
#
# A process takes the first directory that is free. None but those that start or replay takes the
# lock, and they do so one at a time, under a lock for all.

SEGMENTS: Final = 2
_SLOTS: Final = 1024
_NUMBER: Final = Struct("<Q")


def find_journals(home: Path) -> list["JournalDirectory"]:
    """Return the directories of journals, each of a process, in a directory."""
    return [JournalDirectory(path) for path in sorted(home.glob("journal*")) if path.is_dir()]


def own_free(home: Path) -> "JournalDirectory | None":
    """Become the owner of the first directory that is free; None if all are taken."""
    for number in range(_SLOTS):
        directory = JournalDirectory(home / f"journal-{number}")
        if directory.own():
            return directory
    return None


@define(eq=False)
class JournalDirectory:
    """The directory of a journal, which one process at a time may own.

    Attributes
    ----------
    path : Path
        It need not exist.
    """

    path: Path
    _lock: int = field(default=-1, init=False)
    _asked: int = field(default=-1, init=False)
    _flushes: int = field(default=-1, init=False)

    @property
    def segments(self) -> list[Path]:
        """The segments that there are."""
        return sorted(self.path.glob("segment-*"))

    @property
    def is_owned(self) -> bool:
        """Whether this process owns it."""
        return self._lock >= 0

    @property
    def takes(self) -> int:
        """Bytes that its segments take of the disk once they are made, and do not yet."""
        return SEGMENTS * SEGMENT_SIZE - sum(each.stat().st_size for each in self.segments)

    def own(self) -> bool:
        """Try to become its owner; false if another process is."""
        if self.is_owned:
            return True
        self.path.mkdir(parents=True, exist_ok=True)
        fd = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
        if not try_lock(fd):
            os.close(fd)
            return False
        self._lock = fd
        return True

    def listen(self) -> None:
        """Let others ask for flushes, once it is owned."""
        self._flushes = os.open(self.path / "flushes", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
        # Those that the former owner has begun are done: all that it had was replayed.
        self._write_number(_NUMBER.size, self.flushes_begun())
        with suppress(FileExistsError):
            os.mkfifo(self.path / "ask", MODE)
        # For writing as well: else it would be at its end whenever nobody asks.
        flags = os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC
        self._asked = os.open(self.path / "ask", flags)

    def disown(self) -> None:
        """Let others own it."""
        for fd in (self._asked, self._flushes, self._lock):
            if fd >= 0:
                os.close(fd)
        self._asked = self._flushes = self._lock = -1

    def holds(self, uids: Collection[str]) -> bool:
        """Tell whether a segment has a record of one of these SOP Instance UIDs."""
        for path in self.segments:
            with suppress(FileNotFoundError):
                if any(record.uid in uids for record in read_records(path, names_only=True)):
                    return True
        return False

    def make_segments(self) -> list[Segment]:
        """Open the segments of a directory that is owned, all released; what is missing is made."""
        made: list[Segment] = []
        try:
            while len(made) < SEGMENTS:
                made.append(make_segment(self.path / f"segment-{len(made)}"))
            sync_directory(self.path)
            sync_directory(self.path.parent)
        except BaseException:
            for segment in made:
                os.close(segment.fd)
                segment.path.unlink()
            raise
        return made

    def clear(self) -> None:
        """Leave nothing of a journal that has ended well, such as a FIFO that hinders a copy."""
        self.remove_segments()
        (self.path / "ask").unlink(missing_ok=True)

    def remove_segments(self) -> None:
        """Remove all segments, durably: nothing in them counts any more."""
        for path in self.segments:
            path.unlink()
        sync_directory(self.path)

    # --- asking for a flush, and answering

    def ask(self) -> bool:
        """Ask the owner for a flush; false if there is none, or it does not write."""
        try:
            fd = os.open(self.path / "ask", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in (errno.ENXIO, errno.ENOENT):
                return False
            raise
        try:
            with suppress(BlockingIOError):  # so many have asked, and are not answered yet
                os.write(fd, b"?")
        except BrokenPipeError:
            return False
        finally:
            os.close(fd)
        return True

    def flushes_begun(self) -> int:
        """Return the number of the last flush for others that has begun."""
        return self._read_number(0)

    def flushes_done(self) -> int:
        """Return the number of the last flush for others that is done."""
        return self._read_number(_NUMBER.size)

    async def answer(self, flush: Callable[[], Awaitable[bool]]) -> None:
        """Flush whenever another process asks; `flush` tells whether it has succeeded."""
        while True:
            await anyio.wait_readable(self._asked)
            with suppress(BlockingIOError):
                os.read(self._asked, 65536)
            number = self.flushes_begun() + 1
            self._write_number(0, number)
            if await flush():
                self._write_number(_NUMBER.size, number)

    def _read_number(self, offset: int) -> int:
        try:
            with (self.path / "flushes").open("rb") as file:
                found = os.pread(file.fileno(), _NUMBER.size, offset)
        except FileNotFoundError:
            return 0
        return int(_NUMBER.unpack(found)[0]) if len(found) == _NUMBER.size else 0

    def _write_number(self, offset: int, number: int) -> None:
        os.pwrite(self._flushes, _NUMBER.pack(number), offset)
