"""One codec worker process, as the node sees it."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import anyio
import anyio.to_thread

from pacs_core.contracts import CodecError, TranscodingError, VerificationError
from pacs_core.sandbox.pool import worker_environment
from pacs_core.transcoding.errors import (
    CodecCrashedError,
    CodecKilledError,
    CodecMemoryError,
    CodecTimeoutError,
)
from pacs_core.transcoding.workers.limits import WorkerLimits
from pacs_core.transcoding.workers.protocol import (
    ANSWER,
    Answer,
    Buffer,
    ConvertedFrame,
    FileJob,
    Job,
    JobStatus,
    Request,
    check_answer,
    format_of,
    pack_request,
    unpack_answer,
)

# Theory of operation
#
# A worker is a fresh interpreter, not a fork: a fork would have the node's memory, open files and
# locks. It gets one socket, a short list of environment variables, and limits of memory and
# processor time that it sets for itself before the first job, when it also gives up network and
# files.
#
# A job that fails leaves the process usable only where the codec itself said so (`CodecError`).
# After a timeout, a death or nonsense the state of the process is not known, and its owner kills
# it. Nothing is retried here: that is for the pool, which knows what else has happened to the
# frame.
#
# The socket closes a moment before the process can be waited for; `_DYING` bridges that, so that
# the message can name the signal.

_BOOTSTRAP: Final = (
    "import json, sys; path, *arguments = json.loads(sys.argv[1]); sys.path[:] = path; "
    "from pacs_core.transcoding.workers.main import main; main(*arguments)"
)
_SOCKET_BUFFER: Final = 1 << 20
_DYING: Final = 2.0
"""Seconds that a process may take to be gone after its socket."""


class WorkerProcess:
    """A process that does one job at a time.

    Creating it starts it: blocking for some milliseconds, so not for the event loop.

    Parameters
    ----------
    limits : WorkerLimits
    files : bool
        Whether it is to convert whole files, and so may open them.
    """

    def __init__(self, limits: WorkerLimits, *, files: bool = False) -> None:
        self.idle_since = 0.0
        self._limits = limits
        self._files = files
        self._channel, theirs = socket.socketpair()
        with theirs:
            for end in (self._channel, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER)
            self._channel.setblocking(False)
            try:
                self._process = _start(theirs.fileno(), limits, files)
            except OSError as error:
                self._channel.close()
                raise CodecCrashedError(f"no codec process can be started: {error}") from error

    def keeps(self, limits: WorkerLimits, *, files: bool = False) -> bool:
        """Return whether it keeps these limits, and may open files, or not."""
        own, other = (
            (each.cpu_time, each.memory, each.timeout, each.confine)
            for each in (self._limits, limits)
        )
        return own == other and self._files == files

    @property
    def pid(self) -> int:
        """Identifier of the process."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    async def do(self, job: Job, frame: Buffer) -> ConvertedFrame:
        """Have a job done. Only if it raises nothing, or CodecError, may it be given another.

        Raises
        ------
        CodecError
            The frame cannot be converted.
        TranscodingError
            The codec took too long or too much, or its process has died.
        """
        answer, text, data = await self._ask(job, frame)
        converted = ConvertedFrame(data, format_of(answer, text))
        try:
            check_answer(converted, job)
        except ValueError as error:
            raise _nonsense(error) from error
        return converted

    async def do_file(self, job: FileJob) -> bool:
        """Have a whole file converted; return False if it is too large for that.

        Raises
        ------
        CodecError, TranscodingError
            As `do`.
        """
        answer, _, _ = await self._ask(job, b"")
        return answer.status is JobStatus.DONE

    async def _ask(self, job: Request, frame: Buffer) -> tuple[Answer, str, memoryview]:
        try:
            with anyio.fail_after(self._limits.timeout):
                answer, text, data = await self._converse(job, frame)
        except TimeoutError:
            seconds = self._limits.timeout
            raise CodecTimeoutError(
                f"the codec took more than {seconds:g} s for {job.what}"
            ) from None
        except ValueError as error:
            raise _nonsense(error) from error
        except (EOFError, OSError):
            # The socket ends a moment before the process does.
            with anyio.CancelScope(shield=True):
                code = await anyio.to_thread.run_sync(self._wait)
                await self.end()
            raise self._post_mortem(code) from None
        if answer.status is JobStatus.MEMORY:
            memory = self._limits.memory >> 20
            raise CodecMemoryError(
                f"the codec needs more than {memory} MiB of memory for {job.what}"
            )
        if answer.status is JobStatus.NOT_LOSSLESS:
            raise VerificationError(text)
        if answer.status is JobStatus.REFUSED:
            raise CodecError(text)
        return answer, text, data

    async def _converse(self, job: Request, frame: Buffer) -> tuple[Answer, str, memoryview]:
        for part in pack_request(job, frame):
            await self._send(part)
        answer = unpack_answer(await self._receive(ANSWER.size), job)
        text = (await self._receive(answer.text_length)).decode("utf-8", "replace")
        return answer, text, memoryview(await self._receive(answer.frame_length)).toreadonly()

    async def _send(self, data: Buffer) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._channel.send(rest) :]
            except BlockingIOError:
                await anyio.wait_writable(self._channel)

    async def _receive(self, length: int) -> bytearray:
        data = bytearray(length)
        rest = memoryview(data)
        while rest:
            try:
                count = self._channel.recv_into(rest)
            except BlockingIOError:
                await anyio.wait_readable(self._channel)
                continue
            if not count:
                raise EOFError
            rest = rest[count:]
        return data

    def _wait(self) -> int | None:
        try:
            return self._process.wait(_DYING)
        except subprocess.TimeoutExpired:
            return None

    def _post_mortem(self, code: int | None) -> TranscodingError:
        if code is None:
            return CodecCrashedError("the codec's process closed its socket amid this frame")
        if code == -signal.SIGXCPU:
            seconds = self._limits.cpu_time
            return CodecTimeoutError(f"the codec took more than {seconds:g} s of processor time")
        if code == -signal.SIGKILL:
            return CodecKilledError("the codec's process was killed from outside (SIGKILL)")
        cause = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return CodecCrashedError(f"the codec's process died of this frame ({cause})")

    async def end(self) -> int:
        """Kill the process, and return its exit code once it is gone. Idempotent."""
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self.kill)
        return self._process.returncode

    def kill(self) -> None:
        """Kill the process, and wait until it is gone: blocking. Idempotent."""
        self._channel.close()
        self._process.kill()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()


@contextmanager
def start_early(count: int) -> Iterator[list[WorkerProcess]]:
    """Start processes with the default limits before there is an event loop, for `CodecWorkers`.

    They load what they need while the caller still reads its configuration, and may open files.
    None is left on leaving.
    """
    workers: list[WorkerProcess] = []
    try:
        for _ in range(count):
            workers.append(WorkerProcess(WorkerLimits(), files=True))  # noqa: PERF401 one may fail
        yield workers
    finally:
        for worker in workers:
            worker.kill()


def _nonsense(error: ValueError) -> CodecCrashedError:
    return CodecCrashedError(f"the codec process answered nonsense: {error}")


def _start(descriptor: int, limits: WorkerLimits, files: bool) -> subprocess.Popen[bytes]:
    arguments = [
        sys.path,
        descriptor,
        limits.cpu_time,
        limits.memory,
        limits.confine,
        files,
    ]
    return subprocess.Popen(  # noqa: S603 our own interpreter and code
        [sys.executable, "-I", "-c", _BOOTSTRAP, json.dumps(arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(descriptor,),
        env=worker_environment(with_modules=False),
    )
