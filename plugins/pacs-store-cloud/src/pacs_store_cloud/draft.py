"""An object on its way into the bucket: in memory while it is small, then in a nameless file."""

import errno
import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final

from attrs import define, field

from pacs_core.contracts import StorageFullError

IN_MEMORY: Final = 1024 * 1024
"""Bytes that a draft holds in memory."""
_NO_ROOM: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_BLOCK: Final = 1024 * 1024


@define(eq=False)
class Draft:
    """The content of an object. All methods block, and are called by one thread at a time.

    Attributes
    ----------
    directory : Path
        For the file, which has no name: the system frees it whatever happens to the process.
    """

    directory: Path
    size: int = field(default=0, init=False)
    beginning: bytes = field(default=b"", init=False)
    _memory: bytearray = field(factory=bytearray, init=False)
    _file: IO[bytes] | None = field(default=None, init=False)

    def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        """Append chunks.

        Raises
        ------
        StorageFullError
            There is no room in the directory.
        """
        try:
            for chunk in chunks:
                self._append(memoryview(chunk).cast("B"))
        except OSError as error:
            self.close()
            if error.errno not in _NO_ROOM:
                raise
            raise StorageFullError(
                error.errno,
                f"{os.strerror(error.errno or 0)}: free space there, or set `temporary`",
                str(self.directory),
            ) from error

    def _append(self, chunk: memoryview) -> None:
        self.size += len(chunk)
        if self._file is None:
            if len(self._memory) + len(chunk) <= IN_MEMORY:
                self._memory += chunk
                return
            self._file = TemporaryFile(dir=self.directory, buffering=0)  # noqa: SIM115
            self._write_out(memoryview(self._memory))
            self._memory = bytearray()
        self._write_out(chunk)

    def _write_out(self, data: memoryview) -> None:
        if self._file is None:
            raise ValueError("this object was aborted, or could not be written")
        while data:
            data = data[self._file.write(data) :]

    def begin_with(self, beginning: bytes) -> None:
        """Let bytes take the place of those at the start.

        Raises
        ------
        ValueError
            They are more than there are.
        """
        if len(beginning) > self.size:
            raise ValueError(f"a beginning of {len(beginning)} bytes in {self.size} bytes")
        self.beginning = beginning

    def read(self, offset: int, length: int) -> bytes:
        """Return a part of the content; fewer bytes only at its end."""
        length = min(length, self.size - offset)
        if self._file is None:
            data = bytes(self._memory[offset : offset + length])
        else:
            data = _pread(self._file.fileno(), offset, length)
        if len(data) != length:
            raise OSError(f"the file of an object in {self.directory} was cut off")
        if offset >= len(self.beginning):
            return data
        return self.beginning[offset : offset + length] + data[len(self.beginning) - offset :]

    def digest(self) -> str:
        """Return the SHA-256 of the content."""
        total = sha256()
        for offset in range(0, self.size, _BLOCK):
            total.update(self.read(offset, _BLOCK))
        return total.hexdigest()

    def close(self) -> None:
        """Free everything."""
        self._memory = bytearray()
        if self._file is not None:
            self._file.close()


def _pread(fd: int, offset: int, length: int) -> bytes:
    parts = []
    while length > 0 and (part := os.pread(fd, length, offset)):
        parts.append(part)
        offset += len(part)
        length -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
