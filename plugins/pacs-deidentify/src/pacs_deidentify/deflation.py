"""Deflated datasets (PS3.5 A.5), inflated into a file and deflated again."""

import zlib
from typing import IO, Final, Protocol

from pacs_deidentify.errors import DeidentificationError

MAX_INFLATED: Final = 1 << 33
"""Bytes that a deflated dataset may have."""

_CHUNK: Final = 1 << 20


class Writer(Protocol):
    """Takes what is written."""

    def write(self, data: bytes, /) -> object:
        """Append."""


def inflate(source: IO[bytes], target: IO[bytes]) -> None:
    """Inflate a dataset into a file.

    Raises
    ------
    DeidentificationError
        It is damaged, or becomes too large.
    """
    inflater, written = zlib.decompressobj(-zlib.MAX_WBITS), 0
    try:
        while not inflater.eof and (data := inflater.unconsumed_tail or source.read(_CHUNK)):
            written += target.write(inflater.decompress(data, _CHUNK))
            if written > MAX_INFLATED:
                raise DeidentificationError(f"it inflates to more than {MAX_INFLATED} bytes")
    except zlib.error as error:
        raise DeidentificationError(f"it cannot be inflated: {error}") from error
    if not inflater.eof:
        raise DeidentificationError("it ends in the middle")


class Deflater:
    """Writes deflated what is written to it."""

    def __init__(self, target: Writer) -> None:
        self._target = target
        self._deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)

    def write(self, data: bytes) -> None:
        """Append."""
        self._target.write(self._deflater.compress(data))

    def finish(self) -> None:
        """Write the end."""
        self._target.write(self._deflater.flush())
