"""What is under way, as files: whoever is killed goes on with it when it is started again."""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from secrets import token_hex

_DRAFT = ".draft"


class Spool:
    """Folders of DICOM files, by names that we have made ourselves.

    Parameters
    ----------
    directory : Path
        Made if it is not there. What was only begun when we were killed is removed.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        for each in directory.iterdir():
            if each.name.endswith(_DRAFT):
                shutil.rmtree(each)

    def begin(self) -> str:
        """Begin a folder, and return its name."""
        name = token_hex(16)
        self._draft(name).mkdir()
        return name

    def add(self, name: str, data: bytes) -> None:
        """Put a file into a folder that was begun; it is durable when this returns."""
        folder = self._draft(name)
        with (folder / f"{len(list(folder.iterdir())):06}.dcm").open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def finish(self, name: str) -> None:
        """Have a folder be there also if we are killed."""
        self._draft(name).rename(self._directory / name)

    def keep(self, files: Sequence[bytes]) -> str:
        """Keep files in a folder; return its name."""
        name = self.begin()
        for each in files:
            self.add(name, each)
        self.finish(name)
        return name

    def read(self, name: str) -> list[bytes]:
        """Return the files of a folder, in their order; none if there is no such folder."""
        return [path.read_bytes() for path in sorted((self._directory / name).glob("*.dcm"))]

    def remove(self, name: str) -> None:
        """Remove a folder, whether it was finished or not."""
        for path in (self._directory / name, self._draft(name)):
            shutil.rmtree(path, ignore_errors=True)

    def names(self) -> Iterator[str]:
        """Iterate over the folders that were finished."""
        for each in sorted(self._directory.iterdir()):
            if not each.name.endswith(_DRAFT):
                yield each.name

    def _draft(self, name: str) -> Path:
        return self._directory / f"{name}{_DRAFT}"
