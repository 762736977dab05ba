"""Files that appear under their names when they are whole."""

import errno
import os
from contextlib import ExitStack, suppress
from io import FileIO
from pathlib import Path
from stat import S_ISLNK

# Theory of operation
#
# A file is written without a name in the output folder, if the file system has such files (Linux,
# O_TMPFILE): whatever ends the command, nothing is left of it. To replace another it is linked to a
# random name, and renamed. Elsewhere it has the random name all the time, so that what is killed
# leaves a file named ".incoming-*.part". Folders below the output folder are opened one below the
# other and never through a link, which somebody else may have put there.

_DESCRIPTORS = "/proc/self/fd"


_BLOCK = 1 << 20


class Draft:
    """A file that does not have its name yet. All methods block.

    Parameters
    ----------
    output : Path
        Folder that it is to be in, or in folders below; made if it is missing.

    Raises
    ------
    OSError
        As each method: it cannot be written.
    """

    def __init__(self, output: Path) -> None:
        output.mkdir(parents=True, exist_ok=True)
        self._name = f".incoming-{os.urandom(8).hex()}.part"
        self._has_name = True
        with ExitStack() as stack:
            self._output = _open_folder(stack, output)
            self._file = FileIO(self._name, "xb", opener=self._create)
            self._stack = stack.pop_all()

    def _create(self, _path: str, flags: int) -> int:
        unnamed = getattr(os, "O_TMPFILE", 0)
        if unnamed and os.path.isdir(_DESCRIPTORS):
            # A file system that has none says so in one of several ways.
            with suppress(OSError):
                made = os.open(".", unnamed | os.O_RDWR, 0o666, dir_fd=self._output)
                self._has_name = False
                return made
        return os.open(self._name, flags, 0o666, dir_fd=self._output)

    def _open(self, _path: str, flags: int) -> int:
        if not self._has_name:
            return os.open(f"{_DESCRIPTORS}/{self._file.fileno()}", flags)
        return os.open(self._name, flags, dir_fd=self._output)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append to it."""
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]

    def reopen(self) -> FileIO:
        """Open it for reading what was written so far, before it has its name."""
        return FileIO(self._name, "rb", opener=self._open)

    def holds(self, path: Path) -> bool:
        """Tell whether a file has the bytes that were written so far."""
        with path.open("rb") as other, self.reopen() as own:
            while (block := own.read(_BLOCK)) == other.read(_BLOCK):
                if not block:
                    return True
        return False

    def finish(self, *folders: str, name: str, durable: bool = False) -> None:
        """Give it its name.

        Parameters
        ----------
        *folders : str
            Names of folders one below the other; made if they are missing.
        name : str
            Replaces what has the name.
        durable : bool
            Return only when it survives a power failure, its name and folders included.

        Raises
        ------
        OSError
            ELOOP: a folder is a link.
        """
        if durable:
            os.fsync(self._file.fileno())
        if not self._has_name:
            made = f"{_DESCRIPTORS}/{self._file.fileno()}"
            os.link(made, self._name, dst_dir_fd=self._output, follow_symlinks=True)
            self._has_name = True
        self._file.close()
        with ExitStack() as stack:
            below, opened = self._output, [self._output]
            for folder in folders:
                with suppress(FileExistsError):
                    os.mkdir(folder, dir_fd=below)
                if S_ISLNK(os.stat(folder, dir_fd=below, follow_symlinks=False).st_mode):
                    raise OSError(
                        errno.ELOOP,
                        f"{folder} in the output folder is a link, which is not followed",
                    )
                below = _open_folder(stack, folder, os.O_NOFOLLOW, below)
                opened.append(below)
            os.replace(self._name, name, src_dir_fd=self._output, dst_dir_fd=below)
            for each in reversed(opened) if durable else ():
                os.fsync(each)

    def discard(self) -> None:
        """Remove what is left, if anything is: the last call, whatever has happened."""
        self._file.close()
        with self._stack, suppress(FileNotFoundError):
            if self._has_name:
                os.unlink(self._name, dir_fd=self._output)


def _open_folder(
    stack: ExitStack, path: Path | str, flags: int = 0, parent: int | None = None
) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | flags, dir_fd=parent)
    stack.callback(os.close, descriptor)
    return descriptor
