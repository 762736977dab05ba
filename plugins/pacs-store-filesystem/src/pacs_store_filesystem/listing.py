"""Iteration over the objects in a directory tree, in bounded memory."""

import os
import stat
from collections.abc import Generator, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

from pacs_core.contracts import StoredObject
from pacs_store_filesystem.layout import KeyLayout

BATCH_SIZE: Final = 256


def walk(root: Path, layout: KeyLayout) -> Generator[StoredObject]:
    """Iterate over the objects; what is none by its name or kind is passed over.

    As many directories are open at a time as the layout is deep.
    """
    return _below(root, "", layout, layout.depth)


def batch(objects: Iterator[StoredObject]) -> list[StoredObject]:
    """Return some more objects; none at the end."""
    return list(islice(objects, BATCH_SIZE))


def _below(root: Path, prefix: str, layout: KeyLayout, levels: int) -> Generator[StoredObject]:
    with suppress(FileNotFoundError), os.scandir(root / prefix) as entries:
        for entry in entries:
            key = prefix + entry.name
            if levels == 1:
                yield from _object(entry, key, layout)
            elif not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                yield from _below(root, f"{key}/", layout, levels - 1)


def list_variants(root: Path, layout: KeyLayout, key: str) -> list[str]:
    """Return the keys of the other objects that differ from one by their variant alone."""
    directory, name, below = layout.split(key)
    found: list[str] = []
    with suppress(FileNotFoundError), os.scandir(root / directory) as entries:
        for entry in entries:
            other = f"{directory}{entry.name}{below}"
            if (
                entry.name.startswith(name)
                and other != key
                and layout.could_make(other)
                and layout.split(other)[1] == name
                and (root / other).is_file()
            ):
                found.append(other)
    return found


def _object(entry: "os.DirEntry[str]", key: str, layout: KeyLayout) -> Iterator[StoredObject]:
    if not layout.could_make(key):
        return
    with suppress(FileNotFoundError):
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISREG(status.st_mode):
            yield describe(key, status)


def describe(key: str, status: os.stat_result) -> StoredObject:
    """Return what is known of an object; another file under its key has another identity."""
    identity = f"{status.st_ino:x}-{status.st_mtime_ns:x}"
    return StoredObject(key, status.st_size, identity)
