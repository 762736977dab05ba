"""The folder of backups: contents by their digest, and for each backup a list of what it has.

::

    FOLDER/contents/ab/abcd…       a content, named by its SHA-256
    FOLDER/backups/NAME.jsonl      one line for each entry, the last says that it is whole

Theory of operation
-------------------
A content is written beside, synced, and renamed to its digest. So one that is there is whole, as
long as the disk keeps it, and what several backups have is there once. The list is written last,
and renamed when it is synced: a backup that was interrupted has no list, and the next one finds
the contents that it has left.

Nothing is ever changed or removed by a later backup.
"""

import hashlib
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Final

import anyio.to_thread
from attrs import asdict, define, field, frozen

from pacs_core.api.files import sync_directory, try_lock

_BLOCK: Final = 1 << 20
_END: Final = "end"
DERIVED: Final = "derived"
NAME_FORMAT: Final = "%Y-%m-%dT%H-%M-%S.%fZ"


class BackupError(Exception):
    """A backup cannot be used; says why."""


@contextmanager
def first_error() -> Iterator[None]:
    """Raise what went wrong in tasks as one of them has raised it, and not as a group."""
    try:
        yield
    except BaseExceptionGroup as group:
        known, other = group.split((BackupError, OSError))
        if known is None or other is not None:
            raise
        error: BaseException = known
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None


@frozen
class Entry:
    """Something in a backup.

    Attributes
    ----------
    kind : str
        ``"object"`` of the store, by its key; ``"database"``, ``"file"`` and ``"link"`` by their
        path in the data directory; ``"postgresql"``, a dump by its name; ``"config"``.
    name : str
    size : int
    sha256 : str
        Empty for an object that is only referred to. Of a link, where it leads.
    identity : str
        Of an object, as its store tells it; of a dump, :data:`DERIVED` if it can be made of them.
    """

    kind: str
    name: str
    size: int
    sha256: str
    identity: str = ""


@define
class Repository:
    """A folder of backups.

    Attributes
    ----------
    folder : Path
    """

    folder: Path
    _numbers: Iterator[int] = field(factory=count)

    def prepare(self) -> None:
        """Make the folder, for the own user only: it will have what the archive has."""
        for directory in (self.folder, self._contents, self.lists):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def locked(self, *, shared: bool = False) -> Iterator[None]:
        """Keep others from writing to the folder for a ``with`` block, or from writing and reading.

        The lock ends with the process, so there is none to be removed after a crash.

        Raises
        ------
        BackupError
            Somebody else is at work in it.
        """
        if not shared:
            self.prepare()
        try:
            flags = os.O_RDONLY if shared else os.O_RDWR | os.O_CREAT
            fd = os.open(self.folder / "lock", flags | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:  # nobody has written, or it is a copy without it
            yield
            return
        try:
            if not try_lock(fd, shared=shared):
                raise BackupError(
                    f"another `pacs backup` is at work in {self.folder}: wait until it has ended"
                )
            yield
        finally:
            os.close(fd)

    @property
    def _contents(self) -> Path:
        return self.folder / "contents"

    @property
    def lists(self) -> Path:
        """The directory of the lists."""
        return self.folder / "backups"

    def list_of(self, name: str) -> Path:
        """Return the list of a backup."""
        return self.lists / f"{name}.jsonl"

    def files(self) -> Iterator[Path]:
        """Yield all contents, and what interrupted backups have left."""
        yield from (path for path in self._contents.rglob("*") if path.is_file())
        yield from self.lists.glob("*.partial")
        for path in self.folder.glob("tmp*"):
            yield from (each for each in path.rglob("*") if each.is_file())

    @property
    def names(self) -> list[str]:
        """Names of the backups that are whole, the earliest first."""
        return sorted(path.stem for path in self.lists.glob("*.jsonl"))

    def choose(self, name: str) -> str:
        """Return the name of a backup, which is the latest if none is given.

        Raises
        ------
        BackupError
            There is none.
        """
        names = self.names
        if not names or (name and name not in names):
            raise BackupError(f"there is no backup {name or 'at all'} in {self.folder}")
        return name or names[-1]

    def entries(self, name: str) -> Iterator[Entry]:
        """Yield what a backup has.

        Raises
        ------
        BackupError
            The list is damaged.
        """
        number, is_whole = 0, False
        with self.list_of(name).open(encoding="utf-8") as lines:
            try:
                for line in lines:
                    value: dict[str, Any] = json.loads(line)
                    if value["kind"] == _END:
                        is_whole = value["entries"] == number
                    else:
                        number += 1
                        yield Entry(**value)
            except (ValueError, KeyError, TypeError) as error:
                raise BackupError(f"the list of the backup {name} is damaged: {error}") from error
        if not is_whole:
            raise BackupError(f"the list of the backup {name} is not whole")

    def path(self, sha256: str) -> Path:
        """Return where a content is."""
        return self._contents / sha256[:2] / sha256

    def has(self, entry: Entry) -> bool:
        """Tell whether there is a content of the right length for an entry."""
        try:
            return self.path(entry.sha256).stat().st_size == entry.size
        except OSError:
            return False

    async def add(self, chunks: AsyncIterator[bytes]) -> tuple[str, int]:
        """Write a content; return its digest and length."""
        partial = self._contents / f"partial-{os.getpid()}-{next(self._numbers)}"
        digest, size = hashlib.sha256(), 0
        run = anyio.to_thread.run_sync
        file = await run(_create, partial)
        try:
            async for chunk in chunks:
                digest.update(chunk)
                size += len(chunk)
                await run(file.write, chunk)
            await run(self._finish, file, partial, digest.hexdigest())
        finally:
            file.close()
            with suppress(FileNotFoundError):
                partial.unlink()
        return digest.hexdigest(), size

    def _finish(self, file: Any, partial: Path, sha256: str) -> None:
        file.flush()
        os.fsync(file.fileno())
        target = self.path(sha256)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        partial.rename(target)
        sync_directory(target.parent)

    async def read(self, entry: Entry) -> AsyncIterator[bytes]:
        """Yield a content.

        Raises
        ------
        BackupError
            It is not there, or not what its digest says, which shows at the end.
        """
        digest = hashlib.sha256()
        try:
            async with await anyio.open_file(self.path(entry.sha256), "rb") as file:
                while chunk := await file.read(_BLOCK):
                    digest.update(chunk)
                    yield chunk
        except OSError as error:
            raise BackupError(f"{entry.kind} {entry.name}: {error}") from error
        if digest.hexdigest() != entry.sha256:
            raise BackupError(f"{entry.kind} {entry.name}: the backup of it is damaged")


@define
class NewBackup:
    """A backup that is being written: entries are added, and :meth:`finish` makes it one."""

    repository: Repository
    name: str = field(factory=lambda: datetime.now(UTC).strftime(NAME_FORMAT))
    entries: int = 0
    size: int = 0
    _file: Any = None

    def __enter__(self) -> "NewBackup":
        self.repository.prepare()
        self._file = _create(self._partial)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        with suppress(FileNotFoundError):
            self._partial.unlink()

    @property
    def _partial(self) -> Path:
        return self.repository.lists / f"{self.name}.partial"

    def add(self, entry: Entry) -> None:
        """Add an entry, whose content is there."""
        self._write(asdict(entry))
        self.entries += 1
        self.size += entry.size

    def _write(self, value: dict[str, Any]) -> None:
        self._file.write(json.dumps(value).encode() + b"\n")

    def finish(self) -> None:
        """Make it a backup, if all that was added outlives a loss of power."""
        self._write({"kind": _END, "entries": self.entries})
        self._file.flush()
        os.fsync(self._file.fileno())
        self._partial.rename(self._partial.with_suffix(".jsonl"))
        sync_directory(self._partial.parent)


def _create(path: Path) -> Any:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
