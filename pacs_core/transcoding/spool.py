"""Spool for what waits until all of it is there: in memory, or in a file without a name."""

import tempfile
from collections.abc import AsyncIterator
from typing import IO, Final

import anyio
import anyio.to_thread

# Theory of operation
#
# Some things are only known when all frames are encoded: the offsets of the frames in the Basic
# Offset Table, the ratio of compression that the header states, and that no frame fails, after
# which nothing of the image may have been sent. Until then the frames wait here. Small ones stay in
# memory; from the first that does not fit on, a file without a name takes them, which vanishes with
# the process however that ends. From then on all chunks go there, also small ones that would find
# room, so that the order is kept: first those in memory, then those in the file.

Buffer = bytes | memoryview

MAX_IN_MEMORY: Final = 16 * 1024 * 1024


class Spool:
    """Keeps chunks, such as encoded frames, in order.

    Parameters
    ----------
    max_in_memory : int
        Bytes after which all further chunks go to a temporary file.

    Attributes
    ----------
    lengths : list of int
        Of the chunks.
    """

    def __init__(self, max_in_memory: int = MAX_IN_MEMORY) -> None:
        self.lengths: list[int] = []
        self._room = max_in_memory
        self._held: list[Buffer] = []
        self._file: IO[bytes] | None = None

    async def add(self, chunk: Buffer) -> None:
        """Take a chunk.

        Raises
        ------
        OSError
            There is no room for temporary files.
        """
        self.lengths.append(len(chunk))
        if self._file is None and len(chunk) <= self._room:
            self._room -= len(chunk)
            self._held.append(chunk)
        else:
            await anyio.to_thread.run_sync(self._write, chunk)

    def _write(self, chunk: Buffer) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 closed by `close`
        self._file.write(chunk)

    async def chunks(self) -> AsyncIterator[Buffer]:
        """Iterate over the chunks, once all are there; as often as wanted."""
        for chunk in self._held:
            yield chunk
        if self._file is None:
            return
        await anyio.to_thread.run_sync(self._file.seek, 0)
        for length in self.lengths[len(self._held) :]:
            yield await anyio.to_thread.run_sync(self._file.read, length)

    def close(self) -> None:
        """Forget the chunks."""
        self._held.clear()
        if self._file is not None:
            self._file.close()
