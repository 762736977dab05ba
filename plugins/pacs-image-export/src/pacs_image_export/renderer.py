"""Renderer of the node: processes that make pictures, started when needed, killed if need be."""

import pickle
from collections.abc import Sequence
from typing import Final

from pacs_core.api.workers import Worker, WorkerDiedError, WorkerPool, WorkerTimeoutError
from pacs_core.contracts import Frame, Renderer, RenderingError, RenderingOptions
from pacs_image_export.worker import DONE, HEAD

_MOST: Final = 256 << 20
"""Bytes of a picture."""


class ProcessRenderer(Renderer):
    """Makes pictures in other processes.

    Parameters
    ----------
    processes : int
        How many at once.
    timeout : float
        Seconds for a picture; then its process is killed.

    Attributes
    ----------
    pool : WorkerPool
    """

    def __init__(self, processes: int = 2, timeout: float = 30.0) -> None:
        self.pool = WorkerPool("pacs_image_export.worker", processes=processes, timeout=timeout)

    async def stop(self) -> None:
        """End the processes."""
        await self.pool.stop()

    async def render(
        self, header: bytes, frames: Sequence[Frame], options: RenderingOptions
    ) -> bytes:
        """See base."""
        request = pickle.dumps((header, list(frames), options), pickle.HIGHEST_PROTOCOL)
        try:
            async with self.pool.lend() as worker:
                status, content = await _ask(worker, request)
        except WorkerTimeoutError as error:
            raise RenderingError(f"{error} to show") from None
        except WorkerDiedError:
            raise RenderingError("the process that was to show it has died of it") from None
        if status != DONE:
            raise RenderingError(content.decode("utf-8", "replace"))
        return content


async def _ask(worker: Worker, request: bytes) -> tuple[int, bytes]:
    await worker.send(HEAD.pack(0, len(request)) + request)
    status, length = HEAD.unpack(await worker.receive_exactly(HEAD.size))
    if length > _MOST:
        raise RenderingError("the picture is too large")
    return status, await worker.receive_exactly(length)
