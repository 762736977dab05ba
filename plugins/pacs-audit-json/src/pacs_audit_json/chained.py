"""The chain of one file, as the process that holds its lock goes on with it."""

import logging
import os
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pacs_audit_json.chain import (
    Head,
    Link,
    extend,
    find_end,
    first_sequence,
    read_head,
    write_head,
)

if TYPE_CHECKING:
    from pacs_audit_json.signing import NodeKey

_log = logging.getLogger(__name__)
_APPEND: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
_MODE: Final = 0o660  # less the umask, as of the file itself


class ChainWriter:
    """Links lines to those before, and signs where the chain ends.

    Each method is called by whoever holds the lock of the file.

    Parameters
    ----------
    key : Path
        File of the key; made if there is none.
    checkpoints : Path
        File that checkpoints are appended to.
    interval : float
        Seconds after which a chain that has grown is signed with the next records.
    """

    def __init__(self, key: Path, checkpoints: Path, interval: float) -> None:
        self._key_file = key
        self._checkpoints = checkpoints
        self._interval = interval
        self._head = Head()
        self._first = 1

    @cached_property
    def _key(self) -> "NodeKey":
        # Read when there is something to sign: what it needs takes long to import.
        from pacs_audit_json.signing import load_key

        return load_key(self._key_file)

    def open(self, lock: int, file: int) -> None:
        """Find the end of the chain, and sign what a process that was killed has not signed.

        Raises
        ------
        OSError
            The key or the checkpoints cannot be used; says what to do.
        """
        for each in (self._key_file, self._checkpoints):
            each.parent.mkdir(0o700, parents=True, exist_ok=True)
        os.close(os.open(self._checkpoints, _APPEND, _MODE))
        if not self._key_file.exists():
            _log.info(
                "the audit trail is signed with a new key in %s; its public key is %s",
                self._key_file,
                self._key.public,
            )
        elif self._key_file.stat().st_mode & 0o077:
            _log.warning("others may read the key of the audit trail: chmod 600 %s", self._key_file)
        self._resume(lock, file)
        self._sign(lock)

    def link(self, lines: Sequence[bytes], lock: int, file: int) -> list[bytes]:
        """Return the lines as the next records of the chain."""
        self._resume(lock, file)
        link = self._head.link
        records = []
        for line in lines:
            record, link = extend(line, link)
            records.append(record)
        self._head = self._head._replace(link=link)
        return records

    def advance(self, lock: int, file: int) -> None:
        """Note that these records are written; sign them if it is time."""
        found = os.fstat(file)
        self._head = self._head._replace(file=found.st_ino, size=found.st_size)
        write_head(lock, self._head)
        if time.time() - self._head.signed_at >= self._interval:
            self._sign(lock)

    def sign(self, lock: int, file: int) -> None:
        """Sign the chain if it has grown."""
        self._resume(lock, file)
        self._sign(lock)

    def let_go_before(self, oldest: Path, lock: int) -> None:
        """State under the node's signature that records before those of a file are removed."""
        self._first = first_sequence(oldest) or 1
        head = read_head(lock) or Head()
        self._append_checkpoint(head.link)

    def _resume(self, lock: int, file: int) -> None:
        """Find where the chain ends."""
        head = read_head(lock) or Head()
        found = os.fstat(file)
        if (head.file, head.size) != (found.st_ino, found.st_size):
            end = find_end(file)
            # What was given a number once is never given it again, even if it is gone.
            if end is not None and end.sequence >= head.link.sequence:
                head = head._replace(link=end)
        self._head = head

    def _sign(self, lock: int) -> None:
        head = self._head
        if head.link.sequence > head.signed:
            self._append_checkpoint(head.link)
            self._head = head._replace(signed=head.link.sequence, signed_at=time.time())
            write_head(lock, self._head)

    def _append_checkpoint(self, link: Link) -> None:
        checkpoint = self._key.sign(link.sequence, link.digest, self._first)
        file = os.open(self._checkpoints, _APPEND, _MODE)
        try:
            size = os.fstat(file).st_size
            torn = size and os.pread(file, 1, size - 1) != b"\n"
            os.write(file, b"\n" * bool(torn) + checkpoint.to_line())
            os.fsync(file)
        finally:
            os.close(file)
