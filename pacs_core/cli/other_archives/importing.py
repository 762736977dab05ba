"""Takes the instances of another archive into this machine's archive.

Theory of operation
-------------------
What the archive has already, by its study and its SOP Instance UID, is not fetched again: that is
how an import that was interrupted goes on. What is fetched is compared with the MD5 that the other
archive has kept, in a temporary file unless it is a file already, and is then taken as any other
file is.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.to_thread
from attrs import evolve, frozen

from pacs_core.app import OpenArchive
from pacs_core.cli.file_counts import FileCounts
from pacs_core.cli.files import DicomFile, inspect
from pacs_core.cli.other_archives.source import OtherArchive, OtherArchiveError, OtherInstance
from pacs_core.concurrency import task_group
from pacs_core.contracts import (
    AccessDeniedError,
    AuditFailedError,
    Index,
    IngestError,
    InstancePath,
    Origin,
)


@frozen
class OtherImport:
    """An import that is under way.

    Attributes
    ----------
    opened : OpenArchive
    index : Index
    source : OtherArchive
    origin : Origin
    counts : FileCounts
    """

    opened: OpenArchive
    index: Index
    source: OtherArchive
    origin: Origin
    counts: FileCounts

    async def run(self, at_once: int) -> None:
        """Import everything, so many instances at a time.

        Raises
        ------
        OtherArchiveError
            The instances cannot be listed.
        """
        listed, turn = self.source.instances(), anyio.Lock()
        with tempfile.TemporaryDirectory(prefix="pacs-import-") as folder:

            async def work(number: int) -> None:
                while True:
                    async with turn:
                        instance = await anyio.to_thread.run_sync(_next, listed)
                    if instance is None:
                        return
                    await self._take(instance, Path(folder) / f"{number}.dcm")

            async with task_group() as tasks:
                for number in range(at_once):
                    tasks.start_soon(work, number)
        for gone in self.source.missing():
            self.counts.fail(Path(gone.name), f"{self.source.maker} has it no more")

    async def _take(self, instance: OtherInstance, file: Path) -> None:
        where = Path(instance.name)
        try:
            path = InstancePath(*await anyio.to_thread.run_sync(self.source.identify, instance))
            if all(path) and await self.index.locate(path) is not None:
                self.counts.add("known")
                return
            file = await anyio.to_thread.run_sync(self.source.fetch, instance, file)
            named = not self.source.has_other_files
            inspected = await anyio.to_thread.run_sync(inspect, file, named)
            if not isinstance(inspected, DicomFile):
                self.counts.take_usable(evolve(inspected, path=where))
                return
            result = await self.opened.archive.on_behalf_of(self.origin).ingest(
                inspected.chunks(),
                transfer_syntax_uid=inspected.transfer_syntax_uid,
                sop_class_uid=inspected.sop_class_uid,
                sop_instance_uid=inspected.sop_instance_uid,
                origin=self.origin,
            )
        except (
            OtherArchiveError, AccessDeniedError, IngestError, AuditFailedError, OSError,
        ) as error:  # fmt: skip
            self.counts.fail(where, str(error))
        else:
            self.counts.add(result.outcome.value)


def _next(listed: Iterator[OtherInstance]) -> OtherInstance | None:
    return next(listed, None)
