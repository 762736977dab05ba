"""A pool of codec worker processes: a frame that kills or hangs one costs that frame alone.

``anyio.to_process`` would do most of it, but unpickles what comes back from a process that a
hostile frame may have taken over, runs the program's main module in each, has no limits of
memory and processor time, and ends with the first Ctrl-C, while associations still drain.
"""

import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from pacs_core.contracts import CodecError
from pacs_core.transcoding.errors import CodecCrashedError, CodecKilledError
from pacs_core.transcoding.workers.limits import WorkerLimits
from pacs_core.transcoding.workers.process import WorkerProcess
from pacs_core.transcoding.workers.protocol import Buffer, ConvertedFrame, FileJob, Job

# Theory of operation
#
# Each process does one job at a time. A job first passes a limiter with as many places as there may
# be processes, so that whoever has a place finds an idle process or may start one. A process is
# either in `_idle` or in the hands of one job, and in `_all` while it exists.
#
# After a job a process is given back only if it has answered, with a frame or with a refusal.
# After anything else it is killed: a timeout, a crash, an answer that is nonsense, a caller that
# was cancelled. It may be amid a codec that cannot be interrupted, or have half an answer in its
# socket, which the next job would take for its own.
#
# The idle process that was used last is used next: its codecs are loaded and its memory is warm. So
# those that are not needed gather at the other end, oldest first, where they are ended.
#
# SIGKILL from outside is most often the kernel's, for want of memory, and hits the largest process,
# not the guilty one. That frame gets a second try in another process. A crash of the codec itself
# gets none: it would crash again.

logger = logging.getLogger(__name__)
T = TypeVar("T")


class CodecWorkers:
    """Processes that are started when they are needed, kept warm, and ended when idle.

    Parameters
    ----------
    limits : WorkerLimits
    started : sequence of WorkerProcess
        Processes that run already: those with the same limits are used, the others ended.
    files : bool
        Whether there are whole files to convert, see `run_file`; then processes may open files.
    """

    def __init__(
        self,
        limits: WorkerLimits,
        started: Sequence[WorkerProcess] = (),
        *,
        files: bool = False,
    ) -> None:
        self.limits = limits
        self._files = files
        self._room = anyio.CapacityLimiter(limits.processes)
        self._all: set[WorkerProcess] = set(started)
        fit = [worker for worker in started if worker.keeps(limits, files=files)]
        self._idle: deque[WorkerProcess] = deque(fit[: limits.processes])
        self._stopped = False

    @property
    def pids(self) -> frozenset[int]:
        """Identifiers of the processes that run."""
        return frozenset(worker.pid for worker in self._all)

    @property
    def free(self) -> int:
        """Processes that do nothing, or may still be started."""
        return int(self._room.available_tokens)

    async def start(self, tasks: TaskGroup) -> None:
        """Begin to watch for processes that idle."""
        for worker in self._all - {*self._idle}:
            await self._end(worker)
        for worker in self._idle:
            worker.idle_since = anyio.current_time()
        tasks.start_soon(self._end_idle)

    async def stop(self) -> None:
        """End all processes, whatever they are doing."""
        self._stopped = True
        with anyio.CancelScope(shield=True):
            for worker in tuple(self._all):
                await self._end(worker)

    async def run(self, job: Job, frame: Buffer) -> ConvertedFrame:
        """Have a frame converted; cancelling this kills the process that does it.

        If the process is killed by somebody else, as the system does when memory is short, the
        frame is tried once more, in another process.

        Parameters
        ----------
        job : Job
        frame : bytes-like
            A codestream if there is a decoder, else native.

        Raises
        ------
        CodecError
            The codec refused the frame.
        TranscodingError
            The codec crashed, or took more time or memory than it may.
        """

        async def once() -> ConvertedFrame:
            async with self._worker() as worker:
                return await worker.do(job, frame)

        return await _try_twice(once)

    async def run_file(self, job: FileJob) -> bool:
        """Have a whole file converted, and written; as `run`.

        Returns
        -------
        bool
            False if it is too large for that, and nothing was written.
        """

        async def once() -> bool:
            try:
                async with self._worker() as worker:
                    return await worker.do_file(job)
            except CodecKilledError:  # what it has written is in the way of a second try
                await anyio.to_thread.run_sync(partial(Path(job.draft).unlink, missing_ok=True))
                raise

        return await _try_twice(once)

    @asynccontextmanager
    async def _worker(self) -> AsyncIterator[WorkerProcess]:
        """Wait for a worker, and end it if it is not fit for another job afterwards."""
        async with self._room:
            worker = await self._take()
            try:
                yield worker
            except CodecError:
                self._give_back(worker)
                raise
            except BaseException:
                await self._end(worker)
                raise
            self._give_back(worker)

    async def _take(self) -> WorkerProcess:
        while self._idle:
            worker = self._idle.pop()
            if worker.is_alive:
                return worker
            await self._end(worker)
        if self._stopped:
            raise CodecCrashedError("the codec workers have been stopped")
        start = partial(WorkerProcess, self.limits, files=self._files)
        worker = await anyio.to_thread.run_sync(start)
        self._all.add(worker)
        return worker

    def _give_back(self, worker: WorkerProcess) -> None:
        worker.idle_since = anyio.current_time()
        self._idle.append(worker)

    async def _end(self, worker: WorkerProcess) -> None:
        with anyio.CancelScope(shield=True):
            await worker.end()
        self._all.discard(worker)

    async def _end_idle(self) -> None:
        """End processes that have had nothing to do for long; the last used is last in line."""
        while True:
            await anyio.sleep(max(self.limits.idle / 4, 0.01))
            due = anyio.current_time() - self.limits.idle
            while self._idle and self._idle[0].idle_since <= due:
                await self._end(self._idle.popleft())


async def _try_twice(work: Callable[[], Awaitable[T]]) -> T:
    """Do a job, and once more if its process was killed from outside: it may not be at fault."""
    try:
        return await work()
    except CodecKilledError as error:
        logger.warning("%s; its job is tried once more", error)
    try:
        return await work()
    except CodecKilledError as error:
        raise CodecKilledError(f"{error}, as was that of a first try") from error
