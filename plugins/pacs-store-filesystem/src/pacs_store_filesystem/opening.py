"""Making the root ready: it exists, can be written, and holds nothing that a crash left."""

import os
from contextlib import suppress
from errno import EACCES, EEXIST, ENOTDIR, EPERM, EROFS
from pathlib import Path
from typing import Final

from attrs import frozen

from pacs_store_filesystem.cached import CachedFiles
from pacs_store_filesystem.directories import DIRECTORY_MODE, Directories, Directory
from pacs_store_filesystem.errors import RoomExpected
from pacs_store_filesystem.staging import (
    INCOMING,
    NamedFile,
    NamelessFile,
    Stage,
    remove_leftovers,
    supports_nameless,
)

_UNUSABLE: Final = {EACCES, EPERM, EROFS, EEXIST, ENOTDIR}
_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@frozen
class Opened:
    """The open root, how files are begun in it, and how those are read that are in memory."""

    directories: Directories
    stage: Stage
    cached: CachedFiles


def open_root(root: Path, *, nameless: bool) -> Opened:
    """Open the root, and make it if it is missing.

    Raises
    ------
    OSError
        It cannot be made, read or written, or its file system cannot do what a store needs.
    """
    with RoomExpected(root):
        try:
            return _open_root(root, nameless=nameless)
        except OSError as error:
            if error.errno not in _UNUSABLE:
                raise
            raise _unusable(
                root, error, "it must be a directory that the node may write"
            ) from error


def _open_root(root: Path, *, nameless: bool) -> Opened:
    _make(root)
    directories = Directories(os.open(root, _FLAGS), root)
    cached = CachedFiles(directories.root)
    incoming = directories.open(INCOMING, create=True)
    if directories.root.identity[0] != incoming.identity[0]:
        raise OSError(
            f"{root / INCOMING} is on another file system than {root}: "
            "files could not be moved from one to the other; unmount it"
        )
    remove_leftovers(incoming)
    if nameless and supports_nameless(incoming):
        return Opened(directories, NamelessFile, cached)
    _check_links(root, incoming)
    return Opened(directories, lambda _: NamedFile(incoming), cached)


def _make(root: Path) -> None:
    """Make the root and what is missing above it, durably."""
    missing = [path for path in (root, *root.parents) if not path.exists()]
    for path in reversed(missing):
        with suppress(FileExistsError):
            path.mkdir(DIRECTORY_MODE)
        fd = os.open(path.parent, _FLAGS)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _check_links(root: Path, incoming: Directory) -> None:
    file = NamedFile(incoming)
    name = "link-probe-" + str(os.getpid())
    try:
        file.link(incoming, name)
        os.unlink(name, dir_fd=incoming.fd)
    except OSError as error:
        advice = "the store needs a file system with hard links"
        raise _unusable(root, error, advice) from error
    finally:
        file.discard()


def _unusable(root: Path, error: OSError, advice: str) -> OSError:
    reason = error.strerror or str(error)
    return type(error)(error.errno, f"cannot use the store's root ({reason}): {advice}", str(root))
