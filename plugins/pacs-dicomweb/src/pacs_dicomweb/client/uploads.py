"""Bodies of Store requests: Part 10 files as parts, in pieces, with their length known before.

Servers are many that take no body without a Content-Length, so that the size of everything is
added up first.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from secrets import token_hex
from typing import Final, Protocol

import anyio
from attrs import field, frozen

from pacs_core.api.streams import closing

_PIECE: Final = 1 << 20
_HEADERS: Final = b"Content-Type: application/dicom\r\n\r\n"


class Content(Protocol):
    """A Part 10 file that is to be sent, wherever its bytes are."""

    @property
    def size(self) -> int:
        """In bytes."""

    def pieces(self) -> AsyncIterator[bytes]:
        """Iterate over the bytes, from the beginning, each time that it is called."""


@frozen
class Upload:
    """A file on disk as :class:`Content`.

    Attributes
    ----------
    path : Path
    size : int
        In bytes.
    """

    path: Path
    size: int

    async def pieces(self) -> AsyncIterator[bytes]:
        """Iterate over the bytes.

        Raises
        ------
        OSError
            The file cannot be read, or has become shorter.
        """
        left = self.size
        async with await anyio.open_file(self.path, "rb") as file:
            while piece := await file.read(min(_PIECE, left)):
                left -= len(piece)
                yield piece
        if left:
            raise OSError(f"{self.path} has become shorter while it was sent")


@frozen
class UploadBody:
    """The body of one Store request; it can be read again, for a second attempt.

    Attributes
    ----------
    uploads : sequence of Content
    boundary : str
        By chance, and long: no file will have it.
    """

    uploads: Sequence[Content]
    boundary: str = field(factory=lambda: token_hex(24))

    @property
    def media_type(self) -> str:
        """For Content-Type."""
        return f'multipart/related; type="application/dicom"; boundary={self.boundary}'

    @property
    def length(self) -> int:
        """For Content-Length."""
        around = len(self.uploads) * len(self._opening) + len(self._closing)
        return around + sum(upload.size for upload in self.uploads)

    @property
    def _opening(self) -> bytes:
        return b"\r\n--" + self.boundary.encode() + b"\r\n" + _HEADERS

    @property
    def _closing(self) -> bytes:
        return b"\r\n--" + self.boundary.encode() + b"--\r\n"

    async def pieces(self) -> AsyncIterator[bytes]:
        """Iterate over the body.

        Raises
        ------
        OSError
            A file cannot be read, or has another size than before.
        """
        for upload in self.uploads:
            yield self._opening
            async with closing(upload.pieces()) as pieces:
                async for piece in pieces:
                    yield piece
        yield self._closing


def batches(uploads: Sequence[Upload], files: int, size: int) -> Iterator[list[Upload]]:
    """Iterate over batches of at most so many files and bytes; a larger file is one alone."""
    batch: list[Upload] = []
    for upload in uploads:
        if batch and (len(batch) == files or sum(u.size for u in batch) + upload.size > size):
            yield batch
            batch = []
        batch.append(upload)
    if batch:
        yield batch
