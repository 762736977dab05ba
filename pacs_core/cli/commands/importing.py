"""``pacs import``."""

from os import environ
from pathlib import Path

import anyio
import anyio.to_thread
from anyio.abc import ObjectReceiveStream

from pacs_core.app import Assembly, open_archive
from pacs_core.cli.assembling import assemble_local
from pacs_core.cli.contributed import command_of_plugin
from pacs_core.cli.dcm4chee import Dcm4cheeFolder
from pacs_core.cli.errors import CommandError, UsageError
from pacs_core.cli.file_counts import FileCounts
from pacs_core.cli.files import DicomFile, inspect_all
from pacs_core.cli.folders import walk
from pacs_core.cli.local import local_origin, record, require_archive
from pacs_core.cli.options import LOCAL, LocalOptions, VerboseOption
from pacs_core.cli.orthanc import open_orthanc
from pacs_core.cli.other_archives import OtherArchive, OtherArchiveError
from pacs_core.cli.other_archives.importing import OtherImport
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
    from_dcm4chee: str = "",
    digests: Path | None = None,
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
    from_dcm4chee
        Instead of files, all that a dcm4chee has: its storage folder, with TAR archives of series,
        or the URL of its DICOMweb service (`pacs web import`). Interrupted, run it again.
    digests
        MD5s of the files in the storage folder, as md5sum writes them, with which they are
        compared; what is listed and not there is named.
    at_once
        Files to take at the same time.
    """
    if (bool(paths), bool(from_orthanc), bool(from_dcm4chee)).count(True) != 1:
        raise UsageError("give files and folders to import, --from-orthanc or --from-dcm4chee")
    if at_once < 1:
        raise UsageError(f"--at-once is 1 or more, not {at_once}")
    if digests is not None and (not from_dcm4chee or _is_url(from_dcm4chee)):
        raise UsageError("--digests is for the storage folder of --from-dcm4chee")
    if from_dcm4chee and _is_url(from_dcm4chee):
        return _import_over_dicomweb(from_dcm4chee, options)
    assembly = assemble_local(options)
    if paths:
        return run_async(_import, assembly, paths, at_once, verbose)
    try:
        source: OtherArchive
        if from_orthanc:
            password = environ.get("ORTHANC_PASSWORD", "")
            source = open_orthanc(from_orthanc, orthanc_user, password)
        else:
            source = Dcm4cheeFolder.open(from_dcm4chee, digests)
        return run_async(_import_from, assembly, source, at_once, verbose)
    except OtherArchiveError as error:
        raise CommandError(str(error)) from error


def _is_url(place: str) -> bool:
    return place.startswith(("http://", "https://"))


def _import_over_dicomweb(url: str, options: LocalOptions) -> int:
    """Let the plugin import that speaks DICOMweb; it knows how servers let it in."""
    command = command_of_plugin("web import", options.config)
    if command is None:
        raise CommandError(
            "a dcm4chee that runs is asked over DICOMweb: pip install pacs-dicomweb, or give its "
            "storage folder"
        )
    if options.data is not None:
        raise UsageError("with a URL, --config says where the archive is, and not --data")
    return command(url, config=options.config) or 0


async def _import_from(
    assembly: Assembly, source: OtherArchive, at_once: int, verbose: bool
) -> int:
    async with open_archive(assembly) as opened:
        _, index = require_archive(opened)
        origin = local_origin("import")
        with progress("importing", None) as advance:
            counts = FileCounts(advance, verbose)
            await OtherImport(opened, index, source, origin, counts).run(at_once)
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
