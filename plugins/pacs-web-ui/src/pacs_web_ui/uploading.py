"""Upload of zip files: the DICOM files in them go to the archive, one after the other.

The body is written to a file without a name on the disk of the data directory, because the
directory of a zip file is at its end; memory stays bounded, and nothing is left behind by a crash.
Then each entry is a stream from that file through the inflater into the archive. The answer tells
how far that is, a line for each few entries; a client that leaves stops it, and what was stored
until then stays.
"""

import shutil
import zipfile
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, Final

import anyio
from anyio import to_thread
from attrs import evolve
from pacs_web.api import WebContext
from pacs_web.api.http import HttpError, stream_body
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pacs_core.contracts import (
    Archive,
    AuditEvent,
    AuditFailedError,
    AuditObject,
    AuditObjectKind,
    EventAction,
    IngestOutcome,
    Node,
    Origin,
    Outcome,
    find_error_status,
)
from pacs_core.dataset import (
    FileMeta,
    HeaderScanner,
    MalformedDataset,
    NeedMoreData,
    NotPart10,
    guess_transfer_syntax,
    read_file_meta,
    tag_of,
    texts,
)
from pacs_web_ui.auditing import UPLOADED
from pacs_web_ui.config import WebUiSettings
from pacs_web_ui.models import UploadReport
from pacs_web_ui.service import WebUi
from pacs_web_ui.transfers import answer_progress
from pacs_web_ui.zip_files import ZipEntry, list_entries, open_zip

_CHUNK: Final = 256 * 1024
_LOOK_AGAIN: Final = 64 << 20  # bytes after which free space is looked at
_KEPT_FREE: Final = 1 << 30
_ZIP: Final = b"PK\x03\x04"
_DICOMDIR: Final = "1.2.840.10008.1.3.10"
_SOP_CLASS: Final = tag_of("SOPClassUID")
_SOP_INSTANCE: Final = tag_of("SOPInstanceUID")
_DAMAGED: Final = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


class NoDicomFileError(Exception):
    """An entry is no DICOM file."""


class NestedZipError(Exception):
    """An entry is a zip file itself."""


def upload_routes(context: WebContext, settings: WebUiSettings) -> Sequence[BaseRoute]:
    """Return the route."""
    ui = WebUi(context, settings)

    async def upload(request: Request) -> Response:
        """Store the DICOM files in a zip file."""
        node, origin, archive = ui.node, ui.origin(request), ui.archive(request)
        file = await _spool(request, node, ui.config.max_zip)
        try:
            content = await to_thread.run_sync(open_zip, file)
        except BaseException:
            file.close()
            raise
        return answer_progress(request, _store_all(node, archive, origin, file, content))

    return [Route("/zip", upload, methods=["POST"])]


async def _spool(request: Request, node: Node, limit: int) -> BinaryIO:
    """Write the body to a file. HttpError 413: it is too large. 507: the disk has no room."""
    folder = node.settings.data_directory
    await to_thread.run_sync(lambda: folder.mkdir(parents=True, exist_ok=True))
    file: Any = TemporaryFile(dir=folder)  # noqa: SIM115 - whoever reads it closes it
    due = 0
    try:
        async for piece in stream_body(request, limit):
            due -= len(piece)
            if due <= 0:
                due = _LOOK_AGAIN
                await to_thread.run_sync(_check_room, folder)
            await to_thread.run_sync(file.write, piece)
    except BaseException:
        file.close()
        raise
    result: BinaryIO = file
    return result


def _check_room(folder: Path) -> None:
    if shutil.disk_usage(folder).free < _KEPT_FREE:
        raise HttpError(507, "there is too little room on the disk for this file")


async def _store_all(
    node: Node, archive: Archive, origin: Origin, file: BinaryIO, content: zipfile.ZipFile
) -> AsyncIterator[UploadReport]:
    entries = list(list_entries(content))
    report, studies = UploadReport(len(entries)), dict[str, None]()
    is_recorded = False
    try:
        for entry in entries:
            yield report
            report = await _store(archive, origin, content, entry, report, studies)
        await _record(node, origin, report, tuple(studies))
        is_recorded = True
        yield report
    finally:
        file.close()
        if not is_recorded:  # the client has left
            with anyio.CancelScope(shield=True), suppress(AuditFailedError):
                await _record(node, origin, report, tuple(studies))


async def _store(
    archive: Archive,
    origin: Origin,
    content: zipfile.ZipFile,
    entry: ZipEntry,
    report: UploadReport,
    studies: dict[str, None],
) -> UploadReport:
    """Store an entry, and return the report on it and those before."""
    if entry.problem:
        return report.failing(entry.name, entry.problem)
    try:
        with await to_thread.run_sync(content.open, entry.info) as stream:
            beginning = await to_thread.run_sync(stream.read, _CHUNK)
            meta = _read_meta(beginning)
            result = await archive.ingest(
                _dataset(stream, beginning[meta.dataset_offset :]),
                transfer_syntax_uid=meta.transfer_syntax_uid,
                sop_class_uid=meta.sop_class_uid,
                sop_instance_uid=meta.sop_instance_uid,
                origin=origin,
            )
    except NoDicomFileError:
        return evolve(report, skipped=report.skipped + 1)
    except NestedZipError:
        return report.failing(entry.name, "a zip file in a zip file is not opened: unpack it")
    except AuditFailedError:
        raise
    except Exception as error:
        if isinstance(error, _DAMAGED):
            return report.failing(entry.name, f"it is damaged: {error}")
        if find_error_status(error) is None:
            raise
        return report.failing(entry.name, str(error))
    studies[result.instance.identity.study_instance_uid] = None
    if result.outcome is IngestOutcome.IDENTICAL:
        return evolve(report, known=report.known + 1)
    return evolve(report, stored=report.stored + 1)


def _read_meta(beginning: bytes) -> FileMeta:
    """Return the file meta information (PS3.10 §7.1), or what takes its place."""
    if beginning.startswith(_ZIP):
        raise NestedZipError
    try:
        meta = read_file_meta(beginning)
    except (NotPart10, NeedMoreData):
        meta = _guess(beginning)
    if meta.sop_class_uid == _DICOMDIR:
        raise NoDicomFileError
    return meta


def _guess(beginning: bytes) -> FileMeta:
    """Return what a dataset says that stands by itself, as old media have it."""
    try:
        syntax = guess_transfer_syntax(beginning)
        scanner = HeaderScanner(syntax, {_SOP_CLASS, _SOP_INSTANCE})
        scanner.feed(beginning)
    except (NotPart10, MalformedDataset) as error:
        raise NoDicomFileError from error
    uids = [texts(scanner.attributes, tag)[:1] for tag in (_SOP_CLASS, _SOP_INSTANCE)]
    if not all(uids):
        raise NoDicomFileError
    return FileMeta(uids[0][0], uids[1][0], syntax, 0)


async def _dataset(stream: Any, beginning: bytes) -> AsyncIterator[bytes]:
    if beginning:
        yield beginning
    while chunk := await to_thread.run_sync(stream.read, _CHUNK):
        yield chunk


async def _record(
    node: Node, origin: Origin, report: UploadReport, studies: tuple[str, ...]
) -> None:
    """Record what came in. `AuditFailedError`: it must not be acknowledged."""
    outcome = Outcome.WARNING if report.failed else Outcome.SUCCESS
    details = {"stored": report.stored, "known": report.known, "failed": report.failed}
    objects = tuple(AuditObject(AuditObjectKind.STUDY, each) for each in studies)
    event = AuditEvent(
        UPLOADED, outcome, origin, details, action=EventAction.CREATE, objects=objects
    )
    await node.audit.record(event)
