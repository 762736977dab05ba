"""Files of print jobs, and of images that wait to be printed.

Theory of operation
-------------------
The images of an association are in a folder of its own below ``sessions/SLOT``, which goes with the
association; a worker that starts empties what its predecessor in the slot left behind. A print job
has a folder below ``jobs``: links to its images, and ``job.json``. All of it is synced before it
gets its name, and its name before the job is entered in the database. A folder without a row is of
a job that was never acknowledged.
"""

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from pacs_sop_print.films import PrintJob, from_plain, to_plain


@frozen
class Spool:
    """Folders of a plugin.

    Attributes
    ----------
    directory : Path
    slot : int
        Of the worker.
    """

    directory: Path
    slot: int = 0

    @property
    def _sessions(self) -> Path:
        return self.directory / "sessions" / str(self.slot)

    @property
    def _jobs(self) -> Path:
        return self.directory / "jobs"

    def prepare(self) -> None:
        """Make the folders, and drop what a worker that was killed has left."""
        shutil.rmtree(self._sessions, ignore_errors=True)
        for folder in (self._sessions, self._jobs):
            folder.mkdir(parents=True, exist_ok=True)

    def begin_session(self) -> Path:
        """Return a new folder for the images of an association."""
        folder = self._sessions / uuid.uuid4().hex
        folder.mkdir()
        return folder

    def folder(self, name: str) -> Path:
        """Return the folder of a print job."""
        return self._jobs / name

    def keep(self, job: PrintJob, session: Path) -> str:
        """Make the folder of a print job, durable when this returns; return its name."""
        name = uuid.uuid4().hex
        draft = self._jobs / f"{name}.part"
        draft.mkdir()
        try:
            for file in {image.image.file for film in job.films for image in film.images}:
                _link(session / file, draft / file)
            path = draft / "job.json"
            path.write_text(json.dumps(to_plain(job)), encoding="utf-8")
            for each in (*draft.iterdir(), draft):
                _sync(each)
            draft.rename(self._jobs / name)
            _sync(self._jobs)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        return name

    def read(self, name: str) -> PrintJob:
        """Read a print job.

        Raises
        ------
        OSError
        """
        text = (self.folder(name) / "job.json").read_text(encoding="utf-8")
        return from_plain(json.loads(text))

    def names(self) -> Iterator[tuple[str, float]]:
        """Iterate over all folders of jobs, and the times at which they were made."""
        for entry in self._jobs.iterdir() if self._jobs.is_dir() else ():
            yield entry.name, entry.stat().st_mtime

    def drop(self, name: str) -> None:
        """Forget the files of a job."""
        shutil.rmtree(self.folder(name), ignore_errors=True)


def _link(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:  # a file system without links
        shutil.copyfile(source, target)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
