"""Files below the folders that are named on a command line."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from pacs_core.dataset import MalformedDataset, NotPart10, scan_file


def walk(paths: Iterable[Path], *, without: Path | None = None) -> Iterator[tuple[Path, bool]]:
    """Iterate over files, and whether each was named rather than found in a folder.

    Parameters
    ----------
    paths : iterable of Path
        Files, or folders with all below them; links to folders are not followed.
    without : Path, optional
        Folder that is left out where it lies below another: the one that is written to.
    """
    left_out = os.path.realpath(without) if without else ""
    for path in paths:
        if not path.is_dir():
            yield path, True
            continue
        folders = [path]
        while folders:
            below, files = _list(folders.pop())
            if left_out:
                below = [each for each in below if os.path.realpath(each) != left_out]
            folders += reversed(below)
            yield from ((file, False) for file in files)


def has_dicom(paths: Iterable[Path], *, without: Path | None = None) -> bool:
    """Tell whether a command for DICOM files has something to do, before it imports what it needs.

    Files are read as far as their File Meta Information, up to one that may be a DICOM file. One
    that cannot be read counts as well: the command says why.

    Parameters
    ----------
    paths, without
        See `walk`.
    """
    return any(_may_be_dicom(path) for path, _ in walk(paths, without=without))


def _may_be_dicom(path: Path) -> bool:
    try:
        scan_file(path, ())
    except NotPart10:
        return False
    except (MalformedDataset, OSError):
        pass
    return True


def _list(folder: Path) -> tuple[list[Path], list[Path]]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        # Shows up as a file that cannot be read, with the reason.
        return [], [folder]
    folders = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    others = [entry.path for entry in entries if not entry.is_dir(follow_symlinks=False)]
    return [*map(Path, folders)], [*map(Path, others)]
