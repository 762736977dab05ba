"""Answers of services that come at once: kept whole before anything is made of them.

Theory of operation
-------------------
A service has worked for minutes on what it answers, and would answer the same under other UIDs if
it were asked again. So an answer is written down as it comes, and results are made of it only once
all of it is on the disk. Whoever is killed, or runs out of time, while it makes results of it goes
on with what is there, and does not ask again; results that it had made already are found by their
digest. An answer that breaks off leaves nothing.

An answer is kept until its request has ended. It is on the node that has asked: another one, which
goes on in its place, has to ask again.
"""

import shutil
from collections.abc import AsyncIterable, Iterator
from pathlib import Path
from typing import Final

import anyio.to_thread
from attrs import frozen

from pacs_ai.files import most_kept, write_file
from pacs_core.api.files import sync_directory

_DRAFT: Final = ".draft"


@frozen
class KeptAnswer:
    """The answer to a request, as files.

    Attributes
    ----------
    directory : Path
        Of all answers.
    number : int
        Of the request.
    """

    directory: Path
    number: int

    @property
    def is_whole(self) -> bool:
        """Whether all of it is there."""
        return self._path.exists()

    def parts(self) -> list[Path]:
        """Return what should be Part 10 files, in the order in which they came."""
        return sorted(self._path.iterdir())

    async def keep(
        self, parts: AsyncIterable[AsyncIterable[bytes]], max_size: int, max_parts: int
    ) -> None:
        """Write an answer down as it comes; whole, and durable, when this returns.

        Parameters
        ----------
        parts : async iterable of async iterable of bytes
            Not read further than `max_parts`.
        max_size : int
            Bytes that a result may have.
        max_parts : int
        """
        draft, count = self.directory / f"{self.number}{_DRAFT}", 0
        await anyio.to_thread.run_sync(_make_anew, draft)
        async for part in parts:
            await write_file(part, draft / f"{count:08}", most_kept(max_size))
            count += 1
            if count == max_parts:
                break
        await anyio.to_thread.run_sync(self._finish, draft)

    def _finish(self, draft: Path) -> None:
        sync_directory(draft)
        draft.rename(self._path)
        sync_directory(self.directory)

    @property
    def _path(self) -> Path:
        return self.directory / str(self.number)


def _make_anew(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(0o700, parents=True)


def kept_answers(directory: Path) -> Iterator[tuple[int, Path]]:
    """Iterate over the requests of which something is kept, whole or not, and where it is."""
    for path in directory.iterdir() if directory.exists() else ():
        yield int(path.name.removesuffix(_DRAFT)), path
