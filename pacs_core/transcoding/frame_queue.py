"""Frames on their way through the workers: several at once, and out in the order they went in."""

from collections import deque
from typing import Final

import anyio
from anyio.abc import TaskGroup
from attrs import define, field

from pacs_core.contracts import CodecError, TranscodingError
from pacs_core.transcoding.workers.pool import CodecWorkers
from pacs_core.transcoding.workers.protocol import Buffer, ConvertedFrame, Job

# Theory of operation
#
# Each frame that is put gets a task of the node's task group, which waits for a worker process and
# for its answer. The frames of one dataset are so in several processes at once, and may be done in
# any order; they are taken in the order in which they were put, by waiting for the oldest.
#
# The queue bounds itself by two numbers, which `is_full` combines: one frame more than there are
# processes (so that none idles while a frame is written out), and the bytes of native frames under
# way. Whoever puts takes first when it is full, so there is no waiting to put.
#
# `cancel` ends the tasks. A process that is amid a frame is killed by that, since it cannot be
# told to stop; one that had not begun is not touched.

MAX_IN_FLIGHT: Final = 64 * 1024 * 1024
"""Native bytes of frames that are under way at once; a larger frame is on its way alone."""


@define(eq=False)
class _QueuedFrame:
    job: Job
    frame: Buffer
    scope: anyio.CancelScope = field(factory=anyio.CancelScope)
    done: anyio.Event = field(factory=anyio.Event)
    outcome: ConvertedFrame | Exception | None = None

    async def work(self, workers: CodecWorkers) -> None:
        try:
            with self.scope:
                self.outcome = await workers.run(self.job, self.frame)
        except (CodecError, TranscodingError) as error:
            self.outcome = error
        finally:
            self.frame = b""
            self.done.set()


class FrameQueue:
    """Has the frames of one dataset converted.

    Parameters
    ----------
    workers : CodecWorkers
    tasks : TaskGroup
        In which the frames are waited for; it must outlive the queue.
    """

    def __init__(self, workers: CodecWorkers, tasks: TaskGroup) -> None:
        self._workers = workers
        self._tasks = tasks
        self._queued: deque[_QueuedFrame] = deque()
        self._taken = 0
        self._size = 0

    @property
    def is_full(self) -> bool:
        """Whether a frame must be taken first: workers or memory have no room for another."""
        return len(self._queued) > self._workers.limits.processes or self._size >= MAX_IN_FLIGHT

    @property
    def is_empty(self) -> bool:
        """Whether no frame is on its way."""
        return not self._queued

    def put(self, job: Job, frame: Buffer) -> None:
        """Send a frame on its way."""
        queued = _QueuedFrame(job, frame)
        self._queued.append(queued)
        self._size += job.format.size
        self._tasks.start_soon(queued.work, self._workers)

    async def take(self) -> ConvertedFrame:
        """Wait for the frame that went in first.

        Raises
        ------
        TranscodingError
            It cannot be converted.
        """
        queued = self._queued[0]
        await queued.done.wait()
        self._queued.popleft()
        self._size -= queued.job.format.size
        self._taken += 1
        outcome = queued.outcome
        if isinstance(outcome, ConvertedFrame):
            return outcome
        kind = type(outcome) if isinstance(outcome, TranscodingError) else TranscodingError
        message = outcome or "the codec workers have been stopped"
        raise kind(f"frame {self._taken}: {message}") from outcome

    def require_log(self) -> None:
        """Do nothing: what is logged here is seen."""

    def cancel(self) -> None:
        """Give up all frames that are on their way."""
        self._taken = 0
        while self._queued:
            self._queued.popleft().scope.cancel()
        self._size = 0
