"""A file that gets its name when it is complete."""

import os
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

Buffer = bytes | bytearray | memoryview

_BUFFER = 1 << 20


def draft_path(target: Path) -> Path:
    """Return a name in the same folder that no other file has."""
    return target.with_name(f".{token_hex(8)}.part")


class FileDraft:
    """Writes a file under another name. All methods block.

    Parameters
    ----------
    path : path-like
        Where to write: see `draft_path`.

    Raises
    ------
    OSError
        It cannot be created.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._file = self._path.open("xb", buffering=_BUFFER)

    def write(self, data: Buffer) -> None:
        """Append to it."""
        self._file.write(data)

    def finish(self, target: str | os.PathLike[str], overwrite: bool) -> None:
        """Give it its name.

        Raises
        ------
        FileExistsError
            There is one of that name, which is not to be overwritten.
        """
        self._file.close()
        if overwrite:
            self._path.replace(target)
            return
        # A hard link fails if the name is taken, unlike a rename: nothing can slip in between.
        try:
            os.link(self._path, target)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            if os.path.lexists(target):
                raise FileExistsError from None
            self._path.rename(target)
        else:
            self._path.unlink()

    def discard(self) -> None:
        """Remove what has not been finished."""
        with suppress(OSError):
            self._file.close()
        self._path.unlink(missing_ok=True)
