"""Directories of the store: opened without following links, made, fsynced together, pruned."""

import os
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from errno import EIO, EMFILE, ENFILE, ESTALE
from itertools import accumulate
from pathlib import Path
from threading import Condition, Lock
from typing import Final, TypeVar

# Theory of operation
#
# Every path below the root is walked component by component with openat(2) and without following
# links, so that nobody who can plant a link in the store can lead it elsewhere. Directories that
# were used lately stay open: the walk then costs one stat(2) of the whole path, which also tells
# whether directory and root are still where they were (`_known`). An open directory keeps its inode
# number from being used again, which makes the comparison certain.
#
# Empty directories are pruned while others may be about to put something into them. Nothing locks
# them against each other. Whoever finds that its directory has vanished (ENOENT) makes it again and
# repeats (`within`); an object that is linked into a directory keeps it from being removed.
#
# An fsync of a directory covers all that was linked into it before the fsync began. So callers that
# arrive while one runs wait for the next, and share it: many writers to one series cost two fsyncs,
# not one each. A failed fsync fails all who waited for it, since the system reports what it could
# not write only once.
#
# A new directory survives a power failure only if its entry above does. `settle` therefore walks up
# to the root, once in the life of each open directory (`_anchored`).

T = TypeVar("T")

MAX_OPEN: Final = 128
DIRECTORY_MODE: Final = 0o770
_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ATTEMPTS: Final = 100


class Directory:
    """An open directory; closed when nobody refers to it any more.

    Being open keeps its inode number from being used again, so that :attr:`identity` tells for
    certain whether a path still leads here.
    """

    __slots__ = (
        "_anchored",
        "_changed",
        "_errno",
        "_failed",
        "_finished",
        "_started",
        "_syncing",
        "fd",
        "identity",
        "parent",
    )

    def __init__(self, fd: int, parent: "Directory | None") -> None:
        self.fd = fd
        self.parent = parent
        status = os.fstat(fd)
        self.identity = (status.st_dev, status.st_ino)
        self._anchored = parent is None
        self._changed = Condition()
        self._syncing = False
        self._started = 0
        self._finished = 0
        self._failed = 0
        self._errno = 0

    def __del__(self) -> None:
        os.close(self.fd)

    def is_removed(self) -> bool:
        """Tell whether the directory has no name any more."""
        return os.fstat(self.fd).st_nlink == 0

    def settle(self) -> None:
        """Make the entries, and the way from the root to here, survive a power failure."""
        self.sync()
        if self.parent is not None and not self._anchored:
            self.parent.settle()
            self._anchored = True

    def sync(self) -> None:
        """Fsync; callers that come while one runs share the next.

        Raises
        ------
        OSError
            The fsync failed: what of the latest changes is durable is not known.
        """
        with self._changed:
            needed = self._started + 1
            while self._finished < needed:
                if self._syncing:
                    self._changed.wait()
                else:
                    self._lead()
            # A later success says nothing: the system reports what it could not write once.
            if needed <= self._failed:
                raise OSError(self._errno, os.strerror(self._errno))

    def _lead(self) -> None:
        self._syncing = True
        self._started += 1
        self._changed.release()
        error = 0
        try:
            os.fsync(self.fd)
        except OSError as caught:
            error = caught.errno or EIO
        finally:
            self._changed.acquire()
            self._syncing = False
            self._finished = self._started
            if error:
                self._failed, self._errno = self._finished, error
            self._changed.notify_all()


class Directories:
    """The directories below a root, the last used of which are kept open.

    Paths are relative to the root, without ``.`` and ``..``; the empty path is the root.

    Parameters
    ----------
    root : int
        File descriptor.
    location : Path
        Where the root is; nothing is made in it once it is elsewhere.
    """

    def __init__(self, root: int, location: Path) -> None:
        self.root = Directory(root, None)
        self._location = location
        self._open: OrderedDict[str, Directory] = OrderedDict()
        self._lock = Lock()

    def open(self, path: str, *, create: bool = False) -> Directory:
        """Open a directory.

        Raises
        ------
        FileNotFoundError
            It is missing, or was removed meanwhile.
        OSError
            Something on the way is no directory, or a symbolic link; or something is to be made,
            and the root is not where it was.
        """
        directory = self._known(path) if path else None
        if directory is not None:
            return directory
        if create:
            self._require_root()
        return self._walk(path, create=create) if path else self.root

    def _require_root(self) -> None:
        """Look whether the root is where it was: else nobody finds an object after a restart."""
        try:
            status = os.stat(self._location)
        except FileNotFoundError:
            status = None
        if status is None or (status.st_dev, status.st_ino) != self.root.identity:
            raise OSError(
                ESTALE,
                "the store's root was moved, deleted or replaced while the node was running: "
                "nothing is stored until it is back, or the node was started again",
                str(self._location),
            )

    def within(self, path: str, action: Callable[[Directory], T]) -> T:
        """Do something in a directory that is made if need be, and again if it was pruned."""
        for _ in range(_ATTEMPTS):
            try:
                return action(self.open(path, create=True))
            except FileNotFoundError:
                continue
        return action(self.open(path, create=True))

    def near(self, path: str, action: Callable[[Directory], T]) -> T:
        """Do as :meth:`within`, but perhaps in a directory that was moved away meanwhile."""
        directory = self._open.get(path)
        if directory is None:
            return self.within(path, action)
        try:
            return action(directory)
        except FileNotFoundError:
            return self.within(path, action)

    def with_handles(self, action: Callable[[], T]) -> T:
        """Do something that opens a file; if no descriptor is left, give up those kept open."""
        try:
            return action()
        except OSError as error:
            if error.errno not in (EMFILE, ENFILE):
                raise
            self.forget_all()
            return action()

    def prune(self, path: str) -> None:
        """Remove a directory, and those above it, that are empty."""
        while path:
            parent, _, name = path.rpartition("/")
            try:
                os.rmdir(name, dir_fd=self.open(parent).fd)
            except OSError:
                return
            self._forget(path)
            path = parent

    def forget_all(self) -> None:
        """Close what is kept open."""
        with self._lock:
            self._open.clear()

    def _walk(self, path: str, *, create: bool) -> Directory:
        directory = self.root
        for prefix in accumulate(path.split("/"), "{}/{}".format):
            known = self._known(prefix)
            if known is None:
                name = prefix.rpartition("/")[2]
                if create:
                    with suppress(FileExistsError):
                        os.mkdir(name, DIRECTORY_MODE, dir_fd=directory.fd)
                fd = os.open(name, _FLAGS, dir_fd=directory.fd)
                known = self._remember(prefix, Directory(fd, directory))
            directory = known
        return directory

    def _known(self, path: str) -> Directory | None:
        with self._lock:
            directory = self._open.get(path)
            if directory is None:
                return None
            self._open.move_to_end(path)
        # The whole path says as well whether the root is where it was.
        try:
            status = os.stat(f"{self._location}/{path}", follow_symlinks=False)
        except OSError:
            status = None
        if status is None or (status.st_dev, status.st_ino) != directory.identity:
            self._forget(path)
            return None
        return directory

    def _remember(self, path: str, directory: Directory) -> Directory:
        with self._lock:
            known = self._open.get(path)
            if known is not None and known.identity == directory.identity:
                return known
            self._open[path] = directory
            if len(self._open) > MAX_OPEN:
                self._open.popitem(last=False)
        return directory

    def _forget(self, path: str) -> None:
        with self._lock:
            self._open.pop(path, None)
