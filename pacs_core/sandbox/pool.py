"""Processes of a plugin that do what may go wrong badly: few, used again, killed if need be.

Theory of operation
-------------------
A process runs a module of the plugin, which reads requests from standard input and writes answers
to standard output, in whichever form the two agree on. It is lent to one task at a time. A task
that leaves normally gives it back; after anything else nobody knows what it is still at, so it is
killed: when it took too long, died, talked nonsense, or the task was cancelled. The next one gets
another, whose start costs the time of its imports.

Of the environment of the node, which may hold secrets, a process has what a program needs to run.
"""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

_INHERITED: Final = (
    "PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV",
)  # fmt: skip
# The processes themselves are what runs in parallel: threads of libraries would only take memory.
_ONE_THREAD: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_ENDED: Final = (
    anyio.EndOfStream,
    anyio.IncompleteRead,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.DelimiterNotFound,
    ConnectionError,
)


class WorkerTimeoutError(Exception):
    """A process took too long, and was killed."""


class WorkerDiedError(Exception):
    """A process ended before it had answered, or answered without end."""


def worker_environment(*, with_modules: bool = True) -> dict[str, str]:
    """Return the environment of a process that works on what anybody may have sent.

    Parameters
    ----------
    with_modules : bool
        Whether it finds the modules of this process, where it is not told its path otherwise.
    """
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    if with_modules:
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    return {**environment, **dict.fromkeys(_ONE_THREAD, "1")}


class Worker:
    """A process that was lent: what is sent to it, and what it answers.

    Attributes
    ----------
    process : Process
        Of anyio.
    """

    def __init__(self, process: Process) -> None:
        self.process = process
        assert process.stdin is not None  # noqa: S101 for the type checker
        assert process.stdout is not None  # noqa: S101
        self._requests = process.stdin
        self._answers = BufferedByteReceiveStream(process.stdout)

    async def send(self, data: bytes) -> None:
        """Write to its standard input."""
        await self._requests.send(data)

    async def receive_exactly(self, size: int) -> bytes:
        """Read so many bytes of its standard output."""
        return await self._answers.receive_exactly(size)

    async def receive_line(self, limit: int) -> bytes:
        """Return a line of its standard output, without its end; so many bytes at most."""
        return await self._answers.receive_until(b"\n", limit)

    async def kill(self) -> None:
        """Kill it, and wait until it has ended."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.aclose()


class WorkerPool:
    """Lends processes that run a module.

    Parameters
    ----------
    module : str
        Run as ``python -m``. What it writes to standard error is thrown away.
    processes : int
        How many there are at most; more tasks wait.
    timeout : float
        Seconds for which one is lent at most.

    Attributes
    ----------
    timeout : float
        May be changed.

    Example
    -------
    ::

        self._pool = WorkerPool("acme_measure.worker", processes=2, timeout=30.0)

        async with self._pool.lend() as worker:
            await worker.send(len(request).to_bytes(8) + request)
            answer = await worker.receive_line(1 << 20)
    """

    def __init__(self, module: str, *, processes: int, timeout: float) -> None:
        self._module = module
        self.timeout = timeout
        self._room = anyio.Semaphore(processes)
        self._idle: list[Worker] = []

    @property
    def idle(self) -> list[int]:
        """Process IDs of those that are not lent."""
        return [worker.process.pid for worker in self._idle]

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Worker]:
        """Lend a process for an ``async with`` block; whatever is raised in it kills the process.

        Yields
        ------
        Worker

        Raises
        ------
        WorkerTimeoutError
        WorkerDiedError
        """
        async with self._room:
            worker = await self._take()
            is_well = False
            try:
                with anyio.fail_after(self.timeout):
                    yield worker
                is_well = True
            except TimeoutError:
                seconds = f"{self.timeout:g}"
                raise WorkerTimeoutError(f"it takes longer than {seconds} seconds") from None
            except _ENDED:
                raise WorkerDiedError("the process that was to do it has died of it") from None
            finally:
                if is_well:
                    self._idle.append(worker)
                else:
                    with anyio.CancelScope(shield=True):
                        await worker.kill()

    async def stop(self) -> None:
        """Kill the processes that are not lent."""
        while self._idle:
            await self._idle.pop().kill()

    async def _take(self) -> Worker:
        while self._idle:
            worker = self._idle.pop()
            if worker.process.returncode is None:
                return worker
            await worker.kill()  # it has ended by itself
        process = await anyio.open_process(
            [sys.executable, "-m", self._module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=worker_environment(),
        )
        return Worker(process)
