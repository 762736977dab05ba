"""Reads without a thread, of what the operating system holds in memory.

To have a thread read half a megabyte, and to be woken by it, costs more than to copy it. What may
have to wait for a disk must go that way; but most of what is read was read or written a moment ago,
and Linux can be asked for it so that it never waits: openat2(2) with ``RESOLVE_CACHED`` (5.12)
opens a file if all on its path is in memory, and preadv2(2) with ``RWF_NOWAIT`` (4.14) reads what
is. Where they cannot, or the file system or a container's filter does not know them, they say so,
and the caller takes a thread.

Both are called through ctypes. Python has no function for the one; by its function for the other, a
read would be copied twice, into memory of ours and from there.
"""

import ctypes
import os
import stat
import sys
from ctypes import byref, c_char_p, c_int, c_int64, c_long, c_size_t, c_ssize_t, c_uint64, sizeof
from errno import EINVAL, ENOSYS, EOPNOTSUPP, EPERM
from typing import Final

from attrs import frozen

from pacs_core.contracts import CHUNK_SIZE
from pacs_store_filesystem.directories import Directory

_OPENAT2: Final = 437
"""Number of the system call, which the C library has no function for; the same everywhere."""
_RESOLVE_NO_SYMLINKS: Final = 0x04
_RESOLVE_BENEATH: Final = 0x08
_RESOLVE_CACHED: Final = 0x20
_RWF_NOWAIT: Final = 0x08
_UNKNOWN: Final = frozenset({EINVAL, ENOSYS, EOPNOTSUPP, EPERM})
"""By these a system says that it will never do it."""

READ_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
MOST: Final = 4 * CHUNK_SIZE
"""Bytes that are read at a time; copying them keeps the event loop for a tenth of a millisecond."""


@frozen
class OpenFile:
    """A file descriptor, and the size of the file."""

    fd: int
    size: int


class _How(ctypes.Structure):
    _fields_ = (("flags", c_uint64), ("mode", c_uint64), ("resolve", c_uint64))


class _Vector(ctypes.Structure):
    _fields_ = (("base", c_char_p), ("length", c_size_t))


_HOW: Final = _How(READ_FLAGS, 0, _RESOLVE_NO_SYMLINKS | _RESOLVE_BENEATH | _RESOLVE_CACHED)


class CachedFiles:
    """Opens and reads files below a directory, unless that might have to wait.

    For the thread of the event loop alone.

    Parameters
    ----------
    root : Directory
    """

    def __init__(self, root: Directory) -> None:
        self._root = root
        # Keeps the interpreter's lock: to give it up and get it back costs more than the calls.
        library = ctypes.PyDLL(None, use_errno=True) if sys.platform == "linux" else None
        self._can_open = library is not None
        self._can_read = hasattr(library, "preadv2") and sys.maxsize > 1 << 32
        if library is not None:
            self._openat2 = library.syscall
            self._openat2.argtypes = (c_long, c_int, c_char_p, ctypes.POINTER(_How), c_size_t)
            self._openat2.restype = c_long
        if library is not None and self._can_read:
            self._preadv2 = library.preadv2
            self._preadv2.argtypes = (c_int, ctypes.POINTER(_Vector), c_int, c_int64, c_int)
            self._preadv2.restype = c_ssize_t
        self._new_bytes = ctypes.pythonapi.PyBytes_FromStringAndSize
        self._new_bytes.argtypes = (c_char_p, c_ssize_t)
        self._new_bytes.restype = ctypes.py_object

    def open(self, path: str) -> OpenFile | None:
        """Open a regular file, through no symbolic link; None if a thread is to try it.

        Parameters
        ----------
        path : str
            Relative to the directory.
        """
        if not self._can_open:
            return None
        name = os.fsencode(path)
        fd = self._openat2(_OPENAT2, self._root.fd, name, byref(_HOW), sizeof(_HOW))
        if fd < 0:
            self._can_open = ctypes.get_errno() not in _UNKNOWN
            return None
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(fd)
            return None
        return OpenFile(fd, status.st_size)

    def read(self, fd: int, offset: int, length: int) -> bytes | None:
        """Return `length` bytes of a file, which has them; None if a thread is to read them."""
        if not self._can_read or length > MOST:
            return None
        data: bytes = self._new_bytes(None, length)  # as `os.read` does it: nobody has seen it yet
        count = self._preadv2(fd, byref(_Vector(data, length)), 1, offset, _RWF_NOWAIT)
        if count < 0:
            self._can_read = ctypes.get_errno() not in _UNKNOWN
        return data if count == length else None
