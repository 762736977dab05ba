"""Files that commands write: never over another unasked, and whole or not at all."""

from collections.abc import Iterable
from pathlib import Path

from pacs_core.api.file_commands import Draft, UsageError


def check_output(output: Path, overwrite: bool) -> None:
    """Refuse to write where a file is, unless that is asked for.

    Raises
    ------
    UsageError
        There is one.
    """
    if output.exists() and not overwrite:
        raise UsageError(f"{output} exists: remove it, or say --overwrite")


def write_file(output: Path, pieces: Iterable[bytes | memoryview]) -> None:
    """Write a file that has its name when it is whole."""
    draft = Draft(output.parent)
    try:
        for piece in pieces:
            draft.write(piece)
        draft.finish(name=output.name)
    finally:
        draft.discard()
