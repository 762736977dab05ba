"""Makes an archive from a backup, in a data directory that has none.

Theory of operation
-------------------
Objects come first, through the store of the configuration, whichever that is: it need not be the
one that was backed up. Until databases are there, the archive is one with objects and an empty
index, which no node serves: a restore that was interrupted cannot be taken for a whole one. It is
run again, and passes over what is there; a marker tells its directory from one that is in use.

Then databases and files take their places, and the index is rebuilt, which makes it agree with the
objects (see :mod:`pacs_backup.creating`). What is in PostgreSQL comes last, each schema in one
transaction; that nobody else's was there is looked at before anything is written.
"""

import os
import shutil
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
from attrs import define, field

from pacs_backup.postgresql import Schemas, find_schemas
from pacs_backup.repository import DERIVED, BackupError, Entry, Repository, first_error
from pacs_core.api.commands import Assembly, OpenArchive, open_archive
from pacs_core.api.files import sync_directory
from pacs_core.contracts import ObjectExistsError, ObjectStore

_AT_ONCE: Final = 8
MARKER: Final = "restoring"
"""File in a data directory for as long as it is being restored."""


def claim(directory: Path, *, resume: bool) -> None:
    """Make the data directory one that is being restored.

    Raises
    ------
    BackupError
        There is something in it that is not of a restore.
    """
    marker = directory / MARKER
    if directory.exists() and any(directory.iterdir()):
        if not marker.exists():
            raise BackupError(f"{directory} is not empty, and not of a restore: move it away")
        if not resume:
            raise BackupError(f"{directory} is of a restore that did not end: say --resume")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    marker.touch()


def write_config(repository: Repository, name: str, path: Path) -> bool:
    """Write the config file of a backup, unless there is one; tell whether it was written."""
    found = [entry for entry in repository.entries(name) if entry.kind == "config"]
    if path.exists() or not found:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    shutil.copyfile(repository.path(found[0].sha256), partial)
    partial.chmod(0o600)
    partial.rename(path)
    return True


@define
class Restore:
    """A backup that is being restored.

    Attributes
    ----------
    repository : Repository
    name : str
    assembly : Assembly
        Of the archive to be made.
    restored, there : int
        Objects that were written, and that were there already.
    missing : list of str
        Objects that the backup only refers to, and the store has not.
    resume : bool
        Whether what is there already is of this restore.
    """

    repository: Repository
    name: str
    assembly: Assembly
    restored: int = 0
    there: int = 0
    missing: list[str] = field(factory=list)
    resume: bool = False

    async def run(self) -> None:
        """Restore all but the agreement of the index.

        Raises
        ------
        BackupError
            A content is missing or damaged; what was restored stays.
        """
        # Before anything is started: a plugin whose server is away has failed then, and names none.
        found = await find_schemas(self.assembly.hooks)
        async with open_archive(self.assembly, repair=True) as opened:
            if opened.store is None:
                raise BackupError("the configuration names no object store")
            if not self.resume:
                await _refuse_others(opened, found.values())
            dumps = self._dumps(found)
            await self._restore_objects(opened.store)
        directory = self.assembly.config.settings.data_directory.resolve()
        for entry in self.repository.entries(self.name):
            if entry.kind in ("database", "file", "link"):
                await self._restore_file(entry, directory)
        for schemas, entry in dumps:
            await schemas.restore(self.repository.read(entry))

    def _dumps(self, schemas: dict[str, Schemas]) -> list[tuple[Schemas, Entry]]:
        """Return where dumps go; one that nobody needs goes nowhere."""
        found = []
        for entry in self.repository.entries(self.name):
            if entry.kind != "postgresql":
                continue
            if entry.name in schemas:
                found.append((schemas[entry.name], entry))
            elif entry.identity != DERIVED:
                raise BackupError(
                    f"the backup has {entry.name} from PostgreSQL, and the configuration names no "
                    "PostgreSQL for it"
                )
        return found

    async def _restore_objects(self, store: ObjectStore) -> None:
        entries = self.repository.entries(self.name)

        async def work() -> None:
            # A generator that never waits: each worker takes the next entry.
            for entry in entries:
                if entry.kind == "object":
                    await self._restore_object(store, entry)

        with first_error():
            async with anyio.create_task_group() as tasks:
                for _ in range(_AT_ONCE):
                    tasks.start_soon(work)

    async def _restore_object(self, store: ObjectStore, entry: Entry) -> None:
        if not entry.sha256:
            try:
                await (await store.open(entry.name)).close()
            except LookupError:
                self.missing.append(entry.name)
            return
        try:
            writer = store.writer_at(entry.name)
        except ValueError as error:
            raise BackupError(
                f"the store makes other keys than {entry.name}: restore into one of the same "
                f"layout, and copy it with `pacs archive copy` ({error})"
            ) from error
        async with writer:
            async for chunk in self.repository.read(entry):
                await writer.write([chunk])
            try:
                await writer.commit()
            except ObjectExistsError:
                self.there += 1
            else:
                self.restored += 1

    async def _restore_file(self, entry: Entry, directory: Path) -> None:
        target = directory / entry.name
        if ".." in target.parts or Path(entry.name).is_absolute():
            raise BackupError(f"{entry.kind} {entry.name} leads out of the data directory")
        await anyio.to_thread.run_sync(lambda: target.parent.mkdir(0o700, True, True))
        if entry.kind == "link":
            target.unlink(missing_ok=True)
            target.symlink_to(entry.sha256)
            return
        if entry.kind == "database":
            # Of the empty database that was there until now: SQLite would play them into this one.
            for suffix in ("-wal", "-shm", "-journal"):
                target.with_name(target.name + suffix).unlink(missing_ok=True)
        await _write(target, self.repository.read(entry))


async def _refuse_others(opened: OpenArchive, schemas: Iterable[Schemas]) -> None:
    """Raise if an index or tables are there that another archive has."""
    if opened.index is not None and not await opened.index.is_empty():
        raise BackupError("the index of the configuration has instances: it is another archive's")
    for each in schemas:
        # The archive that was opened just now has made the tables of its index.
        if not each.database.is_derived and not await each.is_empty():
            raise BackupError(
                f"the database in PostgreSQL to which {each.database.name} is to be restored has "
                "tables: make it empty, or name another"
            )


async def _write(target: Path, chunks: AsyncIterator[bytes]) -> None:
    partial = target.with_name(f"{target.name}.partial")
    async with await anyio.open_file(partial, "wb") as file:
        partial.chmod(0o600)
        async for chunk in chunks:
            await file.write(chunk)
        await file.flush()
        await anyio.to_thread.run_sync(os.fsync, file.wrapped.fileno())
    partial.rename(target)
    await anyio.to_thread.run_sync(sync_directory, target.parent)
