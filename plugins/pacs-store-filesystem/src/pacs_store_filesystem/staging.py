"""Files that are not objects yet: nameless where the system can do that, else set apart."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from errno import ENOENT
from secrets import token_hex
from typing import Final

from pacs_core.api.files import try_lock
from pacs_store_filesystem.directories import Directory

# Theory of operation
#
# An object appears by link(2), never by rename(2): rename replaces what is there, whereas link
# fails if the name is taken, which is how two processes that store one instance find out about each
# other without a lock.
#
# Until then a file is nameless, if the file system can do that: whatever happens to the process,
# nothing is left. Elsewhere it has a random name in `.incoming` and a lock, which the kernel
# releases with the process. So a lock that can be taken marks a leftover, and nobody has to know
# which processes are alive.

INCOMING: Final = ".incoming"
FILE_MODE: Final = 0o660
_WRITE: Final = os.O_WRONLY | os.O_CLOEXEC


class StagedFile(ABC):
    """A file that nobody sees until it is linked. Linking never overwrites."""

    fd: int

    @abstractmethod
    def link(self, directory: Directory, name: str) -> None:
        """Give the file its name; FileExistsError if that is taken."""

    @abstractmethod
    def discard(self) -> None:
        """Close the file, and free what has no other name."""


class NamelessFile(StagedFile):
    """A file without a name (O_TMPFILE): the system frees it whatever happens to us."""

    def __init__(self, directory: Directory) -> None:
        try:
            self.fd = os.open(".", _WRITE | os.O_TMPFILE, FILE_MODE, dir_fd=directory.fd)
        except PermissionError as error:
            # That is what ext4 says of a directory that was removed.
            if directory.is_removed():
                raise FileNotFoundError(ENOENT, os.strerror(ENOENT)) from error
            raise

    def link(self, directory: Directory, name: str) -> None:
        """See base."""
        os.link(f"/proc/self/fd/{self.fd}", name, dst_dir_fd=directory.fd, follow_symlinks=True)

    def discard(self) -> None:
        """See base."""
        os.close(self.fd)


class NamedFile(StagedFile):
    """A file in the incoming directory; a lock on it tells others that it is in use."""

    def __init__(self, incoming: Directory) -> None:
        self._incoming = incoming
        self.fd, self._name = _create_locked(incoming)

    def link(self, directory: Directory, name: str) -> None:
        """See base."""
        os.link(self._name, name, src_dir_fd=self._incoming.fd, dst_dir_fd=directory.fd)

    def discard(self) -> None:
        """See base."""
        with suppress(FileNotFoundError):
            os.unlink(self._name, dir_fd=self._incoming.fd)
        os.close(self.fd)


Stage = Callable[[Directory], StagedFile]
"""Begins a file that is to be linked into this directory, or one beside it."""


def _create_locked(incoming: Directory) -> tuple[int, str]:
    while True:
        name = token_hex(16)
        fd = os.open(name, _WRITE | os.O_CREAT | os.O_EXCL, FILE_MODE, dir_fd=incoming.fd)
        # Between open and lock another process that starts may have taken it for a leftover.
        if try_lock(fd) and os.fstat(fd).st_nlink:
            return fd, name
        os.close(fd)


def remove_leftovers(incoming: Directory) -> None:
    """Remove files that no living process has locked."""
    with os.scandir(incoming.fd) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                _remove_unlocked(incoming, entry.name)


def _remove_unlocked(incoming: Directory, name: str) -> None:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    fd = os.open(name, flags, dir_fd=incoming.fd)
    try:
        if try_lock(fd):
            os.unlink(name, dir_fd=incoming.fd)
    finally:
        os.close(fd)


def supports_nameless(incoming: Directory) -> bool:
    """Find out whether nameless files can be made here, and linked."""
    if not hasattr(os, "O_TMPFILE"):
        return False
    name = token_hex(16)
    try:
        file = NamelessFile(incoming)
    except OSError:
        return False
    try:
        file.link(incoming, name)
        os.unlink(name, dir_fd=incoming.fd)
    except OSError:
        return False
    finally:
        file.discard()
    return True
