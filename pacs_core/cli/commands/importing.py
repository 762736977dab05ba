"""``pacs import``."""

from os import environ
from pathlib import Path

import anyio
import anyio.to_thread
from anyio.abc import ObjectReceiveStream

from pacs_core.app import Assembly, open_archive
from pacs_core.cli.assembling import assemble_local
from pacs_core.cli.errors import CommandError, UsageError
from pacs_core.cli.file_counts import FileCounts
from pacs_core.cli.files import DicomFile, inspect_all
from pacs_core.cli.folders import walk
from pacs_core.cli.local import local_origin, record, require_archive
from pacs_core.cli.options import LOCAL, LocalOptions, VerboseOption
from pacs_core.cli.orthanc import OrthancError, OrthancSource, open_orthanc
from pacs_core.cli.orthanc.importing import OrthancImport
from pacs_core.cli.progress import progress
from pacs_core.cli.running import run_async
from pacs_core.concurrency import task_group
from pacs_core.contracts import (
    AccessDeniedError,
    Archive,
    AuditFailedError,
    AuditKind,
    IngestError,
    Origin,
)


def import_files(
    *paths: Path,
    from_orthanc: str = "",
    orthanc_user: str = "",
    at_once: int = 8,
    verbose: VerboseOption = False,
    options: LocalOptions = LOCAL,
) -> int:
    """Put files into this machine's archive, without a network.

    What happens to an instance is what would happen if a peer had sent it. In folders, files that
    are no DICOM files and DICOMDIRs are skipped.

    Parameters
    ----------
    paths
        Files, and folders with all that is below.
    from_orthanc
        Instead of files, all that an Orthanc server has: its URL, or its storage folder. Each
        instance is compared with the MD5 that Orthanc has kept. What is here already is not
        fetched: interrupted, run it again, and a last time for what came meanwhile.
    orthanc_user
        By which the server knows us; the password is in $ORTHANC_PASSWORD.
    at_once
        Files to take at the same time.
    """
    if bool(paths) == bool(from_orthanc):
        raise UsageError("give files and folders to import, or --from-orthanc")
    if at_once < 1:
        raise UsageError(f"--at-once is 1 or more, not {at_once}")
    assembly = assemble_local(options)
    if from_orthanc:
        try:
            source = open_orthanc(from_orthanc, orthanc_user, environ.get("ORTHANC_PASSWORD", ""))
            return run_async(_import_from, assembly, source, at_once)
        except OrthancError as error:
            raise CommandError(str(error)) from error
    return run_async(_import, assembly, paths, at_once, verbose)


async def _import_from(assembly: Assembly, source: OrthancSource, at_once: int) -> int:
    async with open_archive(assembly) as opened:
        _, index = require_archive(opened)
        origin = local_origin("import")
        with progress("importing", None) as advance:
            counts = FileCounts(advance)
            await OrthancImport(opened, index, source, origin, counts).run(at_once)
        await record(opened, AuditKind.IMPORT, origin, dict(counts.outcomes))
    return counts.summarize("stored")


async def _import(assembly: Assembly, paths: tuple[Path, ...], at_once: int, verbose: bool) -> int:
    files = await anyio.to_thread.run_sync(lambda: list(walk(paths)))
    async with open_archive(assembly) as opened:
        require_archive(opened)
        origin = local_origin("import")
        archive = opened.archive.on_behalf_of(origin)
        with progress("importing", len(files)) as advance:
            counts = FileCounts(advance, verbose)
            send, receive = anyio.create_memory_object_stream[DicomFile](at_once)
            async with task_group() as tasks, send:
                for _ in range(at_once):
                    tasks.start_soon(_work, archive, origin, receive.clone(), counts)
                receive.close()
                async for found in inspect_all(files):
                    if file := counts.take_usable(found):
                        await send.send(file)
        await record(opened, AuditKind.IMPORT, origin, dict(counts.outcomes))
    return counts.summarize("stored")


async def _work(
    archive: Archive, origin: Origin, files: ObjectReceiveStream[DicomFile], counts: FileCounts
) -> None:
    async with files:
        async for file in files:
            await _ingest(archive, origin, file, counts)


async def _ingest(archive: Archive, origin: Origin, file: DicomFile, counts: FileCounts) -> None:
    try:
        result = await archive.ingest(
            file.chunks(),
            transfer_syntax_uid=file.transfer_syntax_uid,
            sop_class_uid=file.sop_class_uid,
            sop_instance_uid=file.sop_instance_uid,
            origin=origin,
        )
    except (AccessDeniedError, IngestError, AuditFailedError, OSError) as error:
        counts.fail(file.path, str(error))
    else:
        counts.add(result.outcome.value)
