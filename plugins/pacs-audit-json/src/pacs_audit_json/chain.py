"""The hash chain of records: each carries its number, and the SHA-256 of the line before."""

import json
import os
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

# Theory of operation
#
# A record ends with ``"sequence":N,"previous":H``: its number, from 1, and the digest of the line
# before it, whatever that is, without its line feed. So no line can be changed, removed, inserted
# or moved without a break at the record after it. Files that are set aside make no difference: the
# chain goes through all of them.
#
# All processes that share the file share one chain. Whoever has the lock reads the *head* in the
# lock file: the last number and digest, and the file and size to which they belong. If these fit,
# nothing is read. If not, somebody was killed between line and head, or the file was meddled with,
# and the last lines are read. The higher number wins: a number that was given is never given again,
# so that records that vanished (a power failure without `fsync`, or an intruder) leave a gap.
#
# A line that a crash has torn has no number, but the record after it has its digest: a torn line is
# told from one that somebody has damaged.

GENESIS: Final = "0" * 64
"""What the first record of all names as the digest before it."""

_HEAD_SIZE: Final = 256
_BLOCK: Final = 64 * 1024
_DIGITS: Final = frozenset("0123456789abcdef")


class Link(NamedTuple):
    """Where a chain ends: the number of its last record, and the digest of its last line."""

    sequence: int = 0
    digest: str = GENESIS


class Head(NamedTuple):
    """What the lock file says of the chain.

    Attributes
    ----------
    link : Link
    file, size : int
        Inode of the file that ends with it, and its bytes.
    signed : int
        Number of the record that was signed last.
    signed_at : float
        When, in seconds since 1970.
    """

    link: Link = Link()
    file: int = 0
    size: int = 0
    signed: int = 0
    signed_at: float = 0.0


def digest_line(line: bytes) -> str:
    """Return the digest of a line."""
    return sha256(line.removesuffix(b"\n")).hexdigest()


def extend(line: bytes, last: Link) -> tuple[bytes, Link]:
    """Return a line of JSON as the next record, and the chain with it."""
    sequence = last.sequence + 1
    body = line.removesuffix(b"}\n")
    ending = b',"sequence":%d,"previous":"%s"}' % (sequence, last.digest.encode("ascii"))
    record = body + ending
    return record + b"\n", Link(sequence, sha256(record).hexdigest())


def link_of(record: Any) -> tuple[int, str] | None:
    """Return number of a record and digest before it; None if it is no part of a chain."""
    if not isinstance(record, dict):
        return None
    sequence, previous = record.get("sequence"), record.get("previous")
    if type(sequence) is not int or sequence < 1 or not isinstance(previous, str):
        return None
    return (sequence, previous) if len(previous) == 64 and _DIGITS.issuperset(previous) else None


def read_head(lock: int) -> Head | None:
    """Return what the lock file says; None if that is nothing."""
    try:
        sequence, digest, file, size, signed, signed_at = os.pread(lock, _HEAD_SIZE, 0).split()
        link = Link(int(sequence), digest.decode("ascii"))
        return Head(link, int(file), int(size), int(signed), float(signed_at))
    except ValueError:
        return None


def write_head(lock: int, head: Head) -> None:
    """Have the lock file say it."""
    link, *rest = head
    text = " ".join(map(str, (*link, *rest)))
    os.pwrite(lock, text.encode("ascii").ljust(_HEAD_SIZE - 1) + b"\n", 0)


def find_end(file: int) -> Link | None:
    """Return where the chain in a file ends; None if the file is empty.

    The number is that of the last record that has one, 0 if none has; the digest is that of the
    last line.
    """
    position = os.fstat(file).st_size
    digest = ""
    rest = b""
    while position:
        start = max(0, position - _BLOCK)
        rest = os.pread(file, position - start, start) + rest
        position = start
        lines = rest.split(b"\n")
        rest = lines[0]  # may have begun in an earlier block
        for line in reversed(lines if not position else lines[1:]):
            if not line:
                continue
            digest = digest or digest_line(line)
            if number := sequence_of(line):
                return Link(number, digest)
    return Link(0, digest) if digest else None


def sequence_of(line: bytes) -> int:
    """Return the number of a line; 0 if it has none."""
    try:
        found = link_of(json.loads(line))
    except (ValueError, RecursionError):
        return 0
    return found[0] if found else 0


def first_sequence(path: Path) -> int:
    """Return the number of the first record in a file; 0 if it has none."""
    with path.open("rb") as file:
        return sequence_of(file.readline(16 * 1024 * 1024))
