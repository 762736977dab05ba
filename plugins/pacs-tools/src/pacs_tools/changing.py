"""Files that are changed one by one: each whole or not at all, and one that fails is named."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from pacs_core.api.file_commands import (
    CommandError,
    Draft,
    UsageError,
    complain,
    complain_of_nothing,
    map_files,
    walk,
)
from pacs_core.dataset import NotPart10
from pacs_tools.files import DicomFile, explain, open_dicom

Piece = bytes | memoryview
_BLOCK: Final = 1 << 18
"""Bytes that are written at a time, if there are so many."""


def change_files(
    paths: list[Path],
    output: Path | None,
    change: Callable[[DicomFile, Path], bool],
    *,
    failures: tuple[type[Exception], ...] = (),
    jobs: int = 0,
    prints: bool = False,
) -> tuple[int, int]:
    """Change files; say of each that fails why.

    Parameters
    ----------
    paths : list of Path
        Files, or folders with all below them.
    output : Path, optional
        Folder for what is written, as files lie below the folders that are named; by default each
        takes the place of its original.
    change : callable
        Given the open file, and where it is to be written; False if it is passed over. What it
        raises fails the file, but for `UsageError`, which ends everything.
    failures : tuple of type, optional
        Exceptions of `change` beside `CommandError`.
    jobs : int
        Processes, see `map_files`.
    prints : bool
        Whether `change` prints what the command is for.

    Returns
    -------
    tuple of int
        How many were changed, and how many have failed.
    """
    caught: tuple[type[Exception], ...] = (CommandError, *failures)

    def change_one(found: tuple[Path, bool, Path]) -> tuple[bool, bool]:
        path, named, below = found
        try:
            with open_dicom(path) as file:
                if not file.damage:
                    return change(file, path if output is None else output / below), False
                reason = f"damaged: {file.damage}"
        except UsageError:
            raise
        except caught as error:
            reason = str(error)
        except (NotPart10, OSError) as error:
            reason = explain(path, named, error)
        if reason:
            complain(f"{path}: {reason}")
        return False, bool(reason)

    files = (
        (path, named, Path(path.name) if named else path.relative_to(start))
        for start in paths
        for path, named in walk([start], without=output)
    )
    done = failed = 0
    for is_done, has_failed in map_files(change_one, files, jobs, label="changing", prints=prints):
        done += is_done
        failed += has_failed
    return done, failed


def exit_code(done: int, failed: int, nothing: str = "no DICOM file was found") -> int:
    """Return the exit code of a command that changed so many files, while so many failed.

    Where there was nothing to do, it is said why.
    """
    if done or failed:
        return 1 if failed else 0
    return complain_of_nothing(nothing)


def check_target(target: Path, *, replaces: bool) -> None:
    """Raise `CommandError` if a file is there, and may not be replaced."""
    if target.exists() and not replaces:
        raise CommandError(f"{target} exists: say --overwrite to replace it")


def _join(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Iterate over pieces, small ones together: most files are written at once."""
    held: list[Piece] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= _BLOCK:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)


def write_whole(
    file: DicomFile, target: Path, pieces: Callable[[], Iterable[Piece]], *, replaces: bool
) -> None:
    """Write a file in place of another or of itself, with its mode, when all of it is there.

    Parameters
    ----------
    file : DicomFile
        The original.
    target : Path
    pieces : callable
        Makes what is written; not called if the target may not be written.
    replaces : bool
        Whether there may be a file at `target`.

    Raises
    ------
    CommandError
        There is one.
    """
    check_target(target, replaces=replaces)
    mode = file.path.stat().st_mode
    draft = Draft(target.parent)
    try:
        for block in _join(pieces()):
            draft.write(block)
        draft.finish(name=target.name)
        target.chmod(mode)
    finally:
        draft.discard()
