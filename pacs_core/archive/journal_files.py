"""Segments of a journal on disk, and the form of their records."""

import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import randbits
from struct import Struct
from typing import Final

from attrs import define, field, frozen

# Theory of operation
#
# A segment is a file of fixed length, full of zeros when it is made: an fdatasync of blocks that
# were written before changes no metadata, and costs half of one that allocates them. Records follow
# each other from its beginning, each at the next whole block, so that no write touches a block of
# what was acknowledged before.
#
#   magic, checksum, generation, number, length of the name, length of the content; name; content
#
# A record counts if its checksum is right, its generation is that of the first, and its number is
# the next. So reading ends at a torn record, and at what was left there by a former use of the
# segment. A segment is released by zeros over its first block.

BLOCK: Final = 4096
SEGMENT_SIZE: Final = 8 << 20
MODE: Final = 0o660
"""Of what a journal makes, as far as the umask lets: that follows ``[node] file_mode``."""

Chunk = bytes | memoryview

_HEAD: Final = Struct("<4sIQIHI")
_SUMMED: Final = 8
"""Where in the head begins what the checksum covers."""
_MAGIC: Final = b"PJ1\n"
_AT_ONCE: Final = 1024
"""How many chunks one system call takes: IOV_MAX of Linux and macOS."""


@frozen
class Record:
    """What a segment holds of an instance.

    Attributes
    ----------
    uid : str
        Its SOP Instance UID.
    key : str
        Of its object.
    content : bytes
        The object.
    """

    uid: str
    key: str
    content: bytes = field(repr=False)


@define(eq=False)
class Segment:
    """An open segment, and how far it is filled."""

    path: Path
    fd: int
    generation: int = field(factory=lambda: randbits(64))
    end: int = 0
    number: int = 0

    def has_room(self, length: int) -> bool:
        """Tell whether a record of this length has room."""
        return self.end + length <= SEGMENT_SIZE

    def reserve(self, length: int) -> tuple[int, int, int]:
        """Return generation, number and place for a record of this length."""
        place = self.generation, self.number, self.end
        self.number += 1
        self.end += length
        return place

    def renew(self) -> None:
        """Begin anew, once it was released."""
        self.generation, self.number, self.end = randbits(64), 0, 0


def length_of(uid: str, key: str, size: int) -> int:
    """Return how many bytes a record takes in a segment."""
    length = _HEAD.size + len(uid.encode()) + 1 + len(key.encode()) + size
    return -(-length // BLOCK) * BLOCK


def pack(generation: int, number: int, uid: str, key: str, content: Sequence[Chunk]) -> list[Chunk]:
    """Return a record as chunks to be written, whole blocks."""
    name = f"{uid}\0{key}".encode()
    size = total_size(content)
    head = _HEAD.pack(_MAGIC, 0, generation, number, len(name), size)
    checksum = zlib.crc32(name, zlib.crc32(head[_SUMMED:]))
    for chunk in content:
        checksum = zlib.crc32(chunk, checksum)
    head = _HEAD.pack(_MAGIC, checksum, generation, number, len(name), size)
    return [head, name, *content, bytes(-(len(head) + len(name) + size) % BLOCK)]


def read_records(path: Path, *, names_only: bool = False) -> Iterator[Record]:
    """Iterate over the records of a segment, up to the first that is torn.

    With `names_only` neither content nor checksums are read: while another process writes.
    """
    with path.open("rb") as file:
        first: int | None = None
        number = offset = 0
        while True:
            file.seek(offset)
            head = file.read(_HEAD.size)
            if len(head) < _HEAD.size:
                return
            magic, checksum, generation, found, name_length, size = _HEAD.unpack(head)
            if magic != _MAGIC or found != number or first not in (None, generation):
                return
            name = file.read(name_length)
            uid, _, key = name.decode("utf-8", "replace").partition("\0")
            content = b"" if names_only else file.read(size)
            if not names_only:
                summed = zlib.crc32(content, zlib.crc32(name, zlib.crc32(head[_SUMMED:])))
                if len(content) < size or summed != checksum:
                    return
            yield Record(uid, key, content)
            first, number = generation, number + 1
            offset += length_of(uid, key, size)


def make_segment(path: Path) -> Segment:
    """Open a segment that is released; make it if it is missing, or of another length."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
    try:
        if os.fstat(fd).st_size != SEGMENT_SIZE:
            os.ftruncate(fd, 0)
            zeros = bytes(1 << 20)
            for offset in range(0, SEGMENT_SIZE, len(zeros)):
                write_all(fd, [zeros], offset)
            os.fsync(fd)
    except BaseException:
        os.close(fd)
        with suppress(OSError):
            path.unlink()
        raise
    return Segment(path, fd)


def total_size(chunks: Sequence[Chunk]) -> int:
    """Return how many bytes chunks have together."""
    return sum([memoryview(chunk).nbytes for chunk in chunks])


def write_all(fd: int, chunks: Sequence[Chunk], offset: int) -> None:
    """Write chunks at an offset, however many they are, and however often only a part is taken."""
    for start in range(0, len(chunks), _AT_ONCE):
        piece = chunks[start : start + _AT_ONCE]
        written, total = os.pwritev(fd, piece, offset), total_size(piece)
        if written < total:
            rest = memoryview(b"".join(piece))[written:]
            while rest:
                count = os.pwrite(fd, rest, offset + total - len(rest))
                rest = rest[count:]
        offset += total
