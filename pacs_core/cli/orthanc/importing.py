"""Takes the instances of an Orthanc server into this machine's archive.

Theory of operation
-------------------
What the archive has already, by its study and its SOP Instance UID, is not fetched again: that is
how an import that was interrupted goes on. What is fetched lies in a temporary file until its MD5
was compared with Orthanc's, and is then taken as any other file is.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.to_thread
from attrs import frozen

from pacs_core.app import OpenArchive
from pacs_core.cli.file_counts import FileCounts
from pacs_core.cli.files import DicomFile, inspect
from pacs_core.cli.orthanc.source import OrthancError, OrthancInstance, OrthancSource
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
class OrthancImport:
    """An import that is under way.

    Attributes
    ----------
    opened : OpenArchive
    index : Index
    source : OrthancSource
    origin : Origin
    counts : FileCounts
    """

    opened: OpenArchive
    index: Index
    source: OrthancSource
    origin: Origin
    counts: FileCounts

    async def run(self, at_once: int) -> None:
        """Import everything, so many instances at a time.

        Raises
        ------
        OrthancError
            The instances cannot be listed.
        """
        listed, turn = self.source.instances(), anyio.Lock()
        with tempfile.TemporaryDirectory(prefix="pacs-orthanc-") as folder:

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

    async def _take(self, instance: OrthancInstance, file: Path) -> None:
        path = InstancePath(instance.study_instance_uid, instance.sop_instance_uid)
        if all(path) and await self.index.locate(path) is not None:
            self.counts.add("known")
            return
        where = Path(instance.name)
        try:
            await anyio.to_thread.run_sync(self.source.fetch, instance, file)
            found = await anyio.to_thread.run_sync(inspect, file, True)
            if not isinstance(found, DicomFile):
                self.counts.fail(where, found.reason)
                return
            result = await self.opened.archive.on_behalf_of(self.origin).ingest(
                found.chunks(),
                transfer_syntax_uid=found.transfer_syntax_uid,
                sop_class_uid=found.sop_class_uid,
                sop_instance_uid=found.sop_instance_uid,
                origin=self.origin,
            )
        except (OrthancError, AccessDeniedError, IngestError, AuditFailedError, OSError) as error:
            self.counts.fail(where, str(error))
        else:
            self.counts.add(result.outcome.value)


def _next(listed: Iterator[OrthancInstance]) -> OrthancInstance | None:
    return next(listed, None)
