"""Creates a backup of an archive that may be in use.

Theory of operation
-------------------
The order makes it consistent, not a lock:

1. Databases: index and tables of plugins, each as it was at one moment, by SQLite's backup API or
   by ``pg_dump``, which no writer waits for.
2. Objects. An object is there before its row, so each instance of the index of step 1 has one, but
   for those that are deleted meanwhile. What came meanwhile is an object without a row.
3. Files, the audit trail among them: it has all that was done to what steps 1 and 2 have copied.

Restoring ends with a rebuild of the index, which takes up the objects without rows and drops the
rows without objects. So what was acknowledged before a backup began is in it.
"""

import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, closing
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
from attrs import define, field

from pacs_backup.postgresql import Schemas
from pacs_backup.repository import DERIVED, BackupError, Entry, NewBackup, Repository, first_error
from pacs_core.api.commands import OpenArchive
from pacs_core.contracts import ObjectNotFoundError, ObjectReader, ObjectStore, StoredObject

_BLOCK: Final = 1 << 20
_AT_ONCE: Final = 8
_MAGIC: Final = b"SQLite format 3\0"

# What a running node makes anew: sockets, locks, room in reserve; and journals, whose instances are
# among the objects as well.
_NOT_KEPT: Final = ("control", ".reserve*", "*.lock", "journal*", "*-wal", "*-shm", "*-journal")


@define
class Creation:
    """A backup that is being created.

    Attributes
    ----------
    opened : OpenArchive
    store : ObjectStore
    repository : Repository
    config_file : Path or None
    by_reference : bool
        Whether objects are named and not copied, as they are safe where they are.
    reread : bool
        Whether objects are read that the former backup has under the same key and length.
    schemas : mapping of str to Schemas
        What is in PostgreSQL, by name.
    """

    opened: OpenArchive
    store: ObjectStore
    repository: Repository
    config_file: Path | None = None
    by_reference: bool = False
    reread: bool = False
    schemas: Mapping[str, Schemas] = field(factory=dict)
    counts: Counter[str] = field(factory=Counter)

    async def run(self) -> NewBackup:
        """Create it.

        Raises
        ------
        BackupError
            Something cannot be read, another backup is being created, or there is no room for it.
        """
        with self.repository.locked():
            former = self._former()
            await self._check_room(former)
            return await self._run(former)

    async def _run(self, former: dict[str, Entry]) -> NewBackup:
        with NewBackup(self.repository) as backup:
            await self._add_dumps(backup)
            await self._add_databases(backup)
            await self._add_objects(backup, former)
            await self._add_files(backup)
            backup.finish()
        return backup

    @property
    def _directory(self) -> Path:
        return self.opened.node.settings.data_directory

    def _former(self) -> dict[str, Entry]:
        """Return the objects of the latest backup, by key."""
        if self.reread or not self.repository.names:
            return {}
        entries = self.repository.entries(self.repository.names[-1])
        return {entry.name: entry for entry in entries if entry.kind == "object" and entry.sha256}

    async def _check_room(self, former: dict[str, Entry]) -> None:
        """Refuse what would end with a full disk, as far as it can be told before.

        Raises
        ------
        BackupError
        """
        needed = 0
        for path in self._files():
            # A database is copied beside the contents first.
            needed += path.stat().st_size * (2 if _is_database(path) else 1)
        if not self.by_reference:
            async with aclosing(_iterate(self.store)) as objects:
                async for stored in objects:
                    if self._known(stored, former) is None:
                        needed += stored.size
        free = shutil.disk_usage(self.repository.folder).free
        if needed > free:
            raise BackupError(
                f"it needs {needed} bytes, and {self.repository.folder} has room for {free}: make "
                "room, by `pacs backup prune` for one, or choose another folder"
            )

    async def _add_dumps(self, backup: NewBackup) -> None:
        for name, schemas in self.schemas.items():
            sha256, size = await self.repository.add(schemas.dump())
            identity = DERIVED if schemas.database.is_derived else ""
            backup.add(Entry("postgresql", name, size, sha256, identity))
            self.counts["dump"] += 1

    async def _add_databases(self, backup: NewBackup) -> None:
        for path in self._files():
            if not _is_database(path):
                continue
            with tempfile.TemporaryDirectory(dir=self.repository.folder) as place:
                copy = Path(place) / "copy"
                await anyio.to_thread.run_sync(_copy_database, path, copy)
                await self._add_content(backup, "database", path, copy)

    async def _add_files(self, backup: NewBackup) -> None:
        for path in self._files(links=True):
            if path.is_symlink():
                name = path.relative_to(self._directory).as_posix()
                backup.add(Entry("link", name, 0, str(path.readlink())))
            elif not _is_database(path):
                await self._add_content(backup, "file", path, path)
        if self.config_file is not None:
            sha256, size = await self.repository.add(_read(self.config_file))
            backup.add(Entry("config", self.config_file.name, size, sha256))

    async def _add_content(self, backup: NewBackup, kind: str, path: Path, source: Path) -> None:
        try:
            sha256, size = await self.repository.add(_read(source))
        except FileNotFoundError:
            return  # it was there a moment ago: something passing
        name = path.relative_to(self._directory).as_posix()
        backup.add(Entry(kind, name, size, sha256))
        self.counts[kind] += 1

    def _files(self, *, links: bool = False) -> Iterator[Path]:
        """Yield the files of the data directory that are no objects, and worth keeping."""
        stores = self.store, *self.opened.node.stores.values()
        without = {each.resolve() for store in stores for each in store.directories}
        waiting = [self._directory]
        while waiting:
            # What signs a file has a longer name, and must not be of later than the file.
            for path in sorted(waiting.pop().iterdir(), reverse=True):
                if any(path.match(pattern) for pattern in _NOT_KEPT):
                    continue
                if path.is_symlink():
                    if links:
                        yield path
                elif path.is_dir() and path.resolve() not in without:
                    waiting.append(path)
                elif path.is_file():
                    yield path

    async def _add_objects(self, backup: NewBackup, former: dict[str, Entry]) -> None:
        turn = anyio.Lock()

        async with aclosing(_iterate(self.store)) as objects:

            async def work() -> None:
                while True:
                    async with turn:
                        stored = await anext(objects, None)
                    if stored is None:
                        return
                    if (entry := await self._object(stored, former)) is not None:
                        backup.add(entry)

            with first_error():
                async with anyio.create_task_group() as tasks:
                    for _ in range(_AT_ONCE):
                        tasks.start_soon(work)

    def _known(self, stored: StoredObject, former: dict[str, Entry]) -> Entry | None:
        """Return the entry of the same object in the former backup, if its content is there."""
        known = former.get(stored.key)
        if known is None or (known.size, known.identity) != (stored.size, stored.identity):
            return None
        return known if self.repository.has(known) else None

    async def _object(self, stored: StoredObject, former: dict[str, Entry]) -> Entry | None:
        """Return the entry of an object whose content is there; None if it was deleted just now."""
        name, size, identity = stored.key, stored.size, stored.identity
        if self.by_reference:
            self.counts["referred to"] += 1
            return Entry("object", name, size, "", identity)
        if (known := self._known(stored, former)) is not None:
            self.counts["known"] += 1
            return known
        try:
            reader = await self.store.open(name)
        except ObjectNotFoundError:
            return None
        async with reader:
            sha256, length = await self.repository.add(_chunks(reader))
        if length != size:
            raise BackupError(f"the object {name} has {length} bytes, not {size}: it is damaged")
        self.counts["copied"] += 1
        return Entry("object", name, size, sha256, identity)


async def _iterate(store: ObjectStore) -> AsyncGenerator[StoredObject, None]:
    async for stored in store.objects():
        yield stored


async def _chunks(reader: ObjectReader) -> AsyncIterator[bytes]:
    async for chunk in reader.chunks(size=_BLOCK):
        yield chunk


async def _read(path: Path) -> AsyncIterator[bytes]:
    """Yield a file as long as it was at the beginning: the audit trail grows meanwhile."""
    async with await anyio.open_file(path, "rb") as file:
        left = (await anyio.Path(path).stat()).st_size
        while left and (chunk := await file.read(min(left, _BLOCK))):
            left -= len(chunk)
            yield chunk


def _is_database(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def _copy_database(source: Path, target: Path) -> None:
    address = f"{source.absolute().as_uri()}?mode=ro"
    with (
        closing(sqlite3.connect(address, uri=True, timeout=30)) as one,
        closing(sqlite3.connect(target)) as other,
    ):
        # In one go: a reader of a write-ahead log keeps no writer waiting, and a copy in parts
        # would begin again with each of their transactions.
        one.backup(other)
        # One file, that needs none beside it.
        other.execute("PRAGMA journal_mode = DELETE")
