"""Renderer of the node: processes that make pictures, started when needed, killed if need be."""

import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from typing import Final

import anyio
from anyio.abc import Process

from pacs_core.contracts import Frame, Renderer, RenderingError, RenderingOptions
from pacs_image_export.worker import DONE, HEAD

_INHERITED: Final = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")
_MOST: Final = 256 << 20
"""Bytes of a picture."""

_ENDED: Final = (
    anyio.EndOfStream,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    ConnectionError,
)


class ProcessRenderer(Renderer):
    """Makes pictures in other processes.

    Parameters
    ----------
    processes : int
        How many at once.
    timeout : float
        Seconds for a picture; then its process is killed.
    """

    def __init__(self, processes: int = 2, timeout: float = 30.0) -> None:
        self._room = anyio.CapacityLimiter(processes)
        self._timeout = timeout
        self._idle: list[Process] = []

    async def stop(self) -> None:
        """End the processes."""
        while self._idle:
            await _end(self._idle.pop())

    async def render(
        self, header: bytes, frames: Sequence[Frame], options: RenderingOptions
    ) -> bytes:
        """See base."""
        request = pickle.dumps((header, list(frames), options), pickle.HIGHEST_PROTOCOL)
        async with self._room:
            process = self._idle.pop() if self._idle else await _start()
            is_well = False
            try:
                with anyio.fail_after(self._timeout):
                    status, content = await _ask(process, request)
                is_well = True
            except TimeoutError:
                seconds = f"{self._timeout:g}"
                raise RenderingError(f"it takes longer than {seconds} seconds to show") from None
            except _ENDED:
                raise RenderingError("the process that was to show it has died of it") from None
            finally:
                if is_well:
                    self._idle.append(process)
                else:
                    with anyio.CancelScope(shield=True):
                        await _end(process)
        if status != DONE:
            raise RenderingError(content.decode("utf-8", "replace"))
        return content


async def _start() -> Process:
    # The environment of the node may hold secrets.
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    environment["OMP_NUM_THREADS"] = environment["OPENBLAS_NUM_THREADS"] = "1"
    paths = os.pathsep.join(path for path in sys.path if path)
    return await anyio.open_process(
        [sys.executable, "-m", "pacs_image_export.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**environment, "PYTHONPATH": paths},
    )


async def _ask(process: Process, request: bytes) -> tuple[int, bytes]:
    assert process.stdin is not None  # noqa: S101 for the type checker
    assert process.stdout is not None  # noqa: S101
    await process.stdin.send(HEAD.pack(0, len(request)) + request)
    answer = bytearray()
    while len(answer) < HEAD.size:
        answer += await process.stdout.receive()
    status, length = HEAD.unpack_from(answer)
    if length > _MOST:
        raise RenderingError("the picture is too large")
    while len(answer) < HEAD.size + length:
        answer += await process.stdout.receive()
    return status, bytes(answer[HEAD.size : HEAD.size + length])


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.aclose()
