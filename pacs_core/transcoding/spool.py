"""Encoded frames that wait until all of them are there: in memory, or in a nameless file."""

import tempfile
from collections.abc import AsyncIterator
from typing import IO, Final

import anyio
import anyio.to_thread

Buffer = bytes | memoryview

MAX_IN_MEMORY: Final = 16 * 1024 * 1024


class FrameSpool:
    """Keeps frames in order.

    Parameters
    ----------
    max_in_memory : int
        Bytes after which all further frames go to a temporary file.
    """

    def __init__(self, max_in_memory: int = MAX_IN_MEMORY) -> None:
        self.lengths: list[int] = []
        self._room = max_in_memory
        self._held: list[Buffer] = []
        self._file: IO[bytes] | None = None

    async def add(self, frame: Buffer) -> None:
        """Take a frame.

        Raises
        ------
        OSError
            There is no room for temporary files.
        """
        self.lengths.append(len(frame))
        if self._file is None and len(frame) <= self._room:
            self._room -= len(frame)
            self._held.append(frame)
        else:
            await anyio.to_thread.run_sync(self._write, frame)

    def _write(self, frame: Buffer) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 closed by `close`
        self._file.write(frame)

    async def frames(self) -> AsyncIterator[Buffer]:
        """Iterate over the frames, once all are there."""
        for frame in self._held:
            yield frame
        if self._file is None:
            return
        await anyio.to_thread.run_sync(self._file.seek, 0)
        for length in self.lengths[len(self._held) :]:
            yield await anyio.to_thread.run_sync(self._file.read, length)

    def close(self) -> None:
        """Forget the frames."""
        self._held.clear()
        if self._file is not None:
            self._file.close()
