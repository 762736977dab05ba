"""Journal: one sync of one file serves all who wait, before store and index are synced."""

import asyncio
import os
import threading
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from typing import Final

from anyio import to_thread
from attrs import define, field, frozen

from pacs_core.archive.journal_directory import JournalDirectory
from pacs_core.archive.journal_files import (
    BLOCK,
    SEGMENT_SIZE,
    Chunk,
    Segment,
    length_of,
    pack,
    write_all,
)

# Theory of operation
#
# An instance is put into store and index without a sync, and its object as a record into a segment
# of the journal. One thread writes what has gathered, by one system call as records follow each
# other, and calls fdatasync once; then all whose records it covers are acknowledged. Store and
# index are synced later, many instances at once (`WriteBehind`), and then the segment is released.
#
# A record is put together in the event loop: each call of the thread that lets go of the
# interpreter's lock, as checksums do, would wait for it again while the loop is busy.
#
# There are two segments: while what one holds is synced elsewhere, the other takes records. Where a
# record goes is decided in the event loop, at once, so that whoever changes over (`change_over`)
# knows that all records of the other segment belong to instances that were noted before.
#
# Linux says once that pages could not be written, and then takes them for clean. So one failure
# ends the journal for the life of the process: nothing more is appended, those who wait are told,
# and the segments are removed once all they hold is synced elsewhere.

LARGEST: Final = 64 * 1024
"""Bytes of the largest dataset that goes into the journal; to write more of them twice costs more
than a sync."""
FULL: Final = SEGMENT_SIZE * 3 // 4
"""Bytes in a segment from which what it holds should be synced soon."""


class JournalError(OSError):
    """The journal could not be written, and is not used any more."""


@frozen
class _Job:
    fd: int
    offset: int
    chunks: Sequence[Chunk]
    end: int
    done: "asyncio.Future[None]"


@define(eq=False)
class Journal:
    """Appends records, and syncs them together.

    Attributes
    ----------
    directory : JournalDirectory
        Owned by this process.
    failure : str
        Why it is not used any more; empty while it is.
    """

    directory: JournalDirectory
    _segments: list[Segment]
    failure: str = ""
    _active: Segment = field(init=False)
    _loop: asyncio.AbstractEventLoop = field(factory=asyncio.get_running_loop)
    _queue: "SimpleQueue[_Job | None]" = field(factory=SimpleQueue, init=False)
    _thread: threading.Thread = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._active = self._segments[0]
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    @property
    def filled(self) -> int:
        """Bytes in the segment that takes records."""
        return self._active.end

    @property
    def held(self) -> int:
        """Bytes in all segments."""
        return sum([segment.end for segment in self._segments])

    def has_room(self, uid: str, key: str, size: int) -> bool:
        """Tell whether an object has room now."""
        return self._active.has_room(length_of(uid, key, size))

    def append(
        self, uid: str, key: str, size: int, content: Sequence[Chunk]
    ) -> "asyncio.Future[None]":
        """Append a record, which must have room; the future is done once it is on disk.

        Its place is taken when this returns, so that the caller can tell which segment has it.
        """
        segment = self._active
        length = length_of(uid, key, size)
        generation, number, offset = segment.reserve(length)
        chunks = pack(generation, number, uid, key, content)
        return self._put(segment, offset, offset + length, chunks)

    def change_over(self) -> list[Segment]:
        """Let another segment take records, if one is free; return those that take none."""
        if self.failure:
            return list(self._segments)
        free = [segment for segment in self._segments if not segment.end]
        if self._active.end and free:
            self._active = free[0]
        return [each for each in self._segments if each.end and each is not self._active]

    async def release(self, segments: Sequence[Segment]) -> None:
        """Forget the records of segments, durably: all that they hold is on disk elsewhere."""
        if self.failure:
            await to_thread.run_sync(self.directory.remove_segments)
            for segment in segments:
                segment.renew()
            return
        for segment in segments:
            await self._put(segment, 0, BLOCK, [bytes(BLOCK)])
            segment.renew()

    def _put(
        self, segment: Segment, offset: int, end: int, chunks: Sequence[Chunk]
    ) -> "asyncio.Future[None]":
        done: asyncio.Future[None] = self._loop.create_future()
        self._queue.put(_Job(segment.fd, offset, chunks, end, done))
        return done

    def close(self) -> None:
        """Write what is queued, and let go of the files. Blocks."""
        self._queue.put(None)
        self._thread.join()
        for segment in self._segments:
            os.close(segment.fd)

    def _run(self) -> None:
        last = False
        while not last:
            jobs: list[_Job] = []
            entry = self._queue.get()
            try:
                while entry is not None:
                    jobs.append(entry)
                    entry = self._queue.get_nowait()
                last = True
            except Empty:
                pass
            if jobs:
                error = self._write(jobs)
                self._loop.call_soon_threadsafe(_deliver, jobs, error)

    def _write(self, jobs: Sequence[_Job]) -> str:
        if not self.failure:
            try:
                for fd, offset, chunks in _join(jobs):
                    write_all(fd, chunks, offset)
                for fd in {job.fd for job in jobs}:
                    getattr(os, "fdatasync", os.fsync)(fd)  # macOS has but the other
            except Exception as error:
                # Whatever it is: nobody may be acknowledged.
                self.failure = f"{type(error).__name__}: {error}"
        return self.failure


def _join(jobs: Sequence[_Job]) -> list[tuple[int, int, list[Chunk]]]:
    """Return what is to be written, as file, place and chunks; side by side it is one."""
    joined: list[tuple[int, int, list[Chunk]]] = []
    end = -1, -1
    for job in jobs:
        if (job.fd, job.offset) != end:
            joined.append((job.fd, job.offset, []))
        joined[-1][2].extend(job.chunks)
        end = job.fd, job.end
    return joined


def _deliver(jobs: Sequence[_Job], error: str) -> None:
    for job in jobs:
        if not job.done.done():
            if error:
                job.done.set_exception(JournalError(f"the journal cannot be written: {error}"))
            else:
                job.done.set_result(None)
