"""The Store transaction, STOW-RS (PS3.18 §10.5).

Parts go to the archive while they arrive, and the client is not read from any faster than they are
stored. Most of that time is spent waiting until an instance is durable, so that a few small parts
are stored at the same time, each gathered in memory first, in the pieces that it came in; a large
one is a stream, and alone. What
fails does so by itself: the parts before and behind it are stored. The answer is given when all of
them are durable.
"""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import Final

import anyio
from pacs_web.api.datasets import JSON, PLAIN_JSON, XML, warning_header
from pacs_web.api.http import HttpError, read_body, stream_body
from pacs_web.api.media_types import MULTIPART, MediaType, Representation, media_type
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from pacs_core.api.streams import closing
from pacs_core.contracts import (
    Archive,
    AuditFailedError,
    IngestResult,
    Outcome,
)
from pacs_core.dataset import MalformedModel
from pacs_core.dataset.json_model import attributes_json
from pacs_core.dataset.xml_model import attributes_xml
from pacs_core.dimse import Status
from pacs_dicomweb.incoming import IncomingFile, read_file
from pacs_dicomweb.instances import require_match
from pacs_dicomweb.models import Models, TooMuchMetadataError
from pacs_dicomweb.multipart import (
    MalformedMultipart,
    Part,
    Splitter,
    SplitterLimits,
    find_only_part,
    split,
)
from pacs_dicomweb.pixel_media_types import OCTETS
from pacs_dicomweb.service import (
    STORED,
    DicomWeb,
    accept,
    parameters_of,
    resource_of,
)
from pacs_dicomweb.store_report import (
    FailedPart,
    StoreReport,
    failed_part,
    refused_part,
    stored_part,
)

DICOM: Final = "application/dicom"
_DICOMDIR: Final = "1.2.840.10008.1.3.10"
_SOP_CLASS_NOT_SUPPORTED: Final = 0x0122
_ANSWERS: Final = (JSON, XML, PLAIN_JSON)
_OF_RETRIEVALS: Final = tuple(Representation(each, is_multipart=True) for each in (OCTETS, DICOM))
"""What viewers accept frames and files in, and go on to say when they store (OHIF/Viewers 3497)."""
_UNMARKED: Final = frozenset({DICOM, OCTETS})
"""Media types of parts that are taken for DICOM files."""

_OF_FILES: Final = frozenset({DICOM, "*/*"})
"""Types of parts of a request with files."""

_AT_ONCE: Final = 8
"""Small parts that are stored at the same time."""

_SMALL: Final = 1 << 20
"""Bytes of a part that is gathered in memory."""

_WANTED: Final = f'{MULTIPART}; type="{DICOM}"'


class Store:
    """Answers requests to store instances.

    Parameters
    ----------
    service : DicomWeb
    """

    def __init__(self, service: DicomWeb) -> None:
        self._service = service

    async def store(self, request: Request) -> Response:
        """Answer POST of instances."""
        require_match(request)
        representation = _choose_answer(request)
        study = resource_of(request).study
        content_type = media_type(request.headers.get("content-type", ""))
        archive, report = self._service.archive(request), StoreReport()
        try:
            await self._take(request, archive, content_type, study, report)
        except MalformedMultipart as error:
            if not report.stored:
                await self._record(request, report, Outcome.FAILURE)
                raise HttpError(400, f"nothing was stored: {error}") from error
            report.failed.append(FailedPart(Status.CANNOT_UNDERSTAND, str(error)))
        if not report.stored and not report.failed:
            raise HttpError(400, "there is no instance in the request")
        outcome = {200: Outcome.SUCCESS, 202: Outcome.WARNING}.get(report.status, Outcome.FAILURE)
        await self._record(request, report, outcome)
        url = self._service.url(request)
        module = report.attributes(url, study)
        is_xml = representation == XML
        text = attributes_xml(module) if is_xml else attributes_json(module)
        return Response(
            text.encode("utf-8", "replace"),
            _status(report),
            headers=warning_header(url, report.reasons),
            media_type=representation.name,
        )

    async def _take(
        self,
        request: Request,
        archive: Archive,
        content_type: MediaType | None,
        study: str,
        report: StoreReport,
    ) -> None:
        if content_type and content_type.name == DICOM:
            async with closing(stream_body(request)) as body:
                await self._store(request, archive, partial(read_file, body, study), report)
            return
        if content_type is None or content_type.name != MULTIPART:
            raise _unsupported(request.headers.get("content-type", "no media type"))
        kind = content_type.content
        limits = SplitterLimits(parts=self._service.config.max_parts)
        boundary = content_type.parameters.get("boundary", "")
        splitter, source = Splitter(boundary, limits), stream_body(request)
        if kind in _OF_FILES and _is_small(request):
            whole = await read_body(request, _SMALL)
            if only := find_only_part(whole, Splitter(boundary, limits)):
                await self._take_only(request, archive, *only, study, report)
                return
            source = _chain([whole])
        async with closing(source) as body, closing(split(body, splitter)) as parts:
            if kind in {JSON.name, XML.name}:
                await self._take_models(request, archive, parts, study, report)
            elif kind not in _OF_FILES:
                raise _unsupported(f"{MULTIPART} of {kind}")
            else:
                await self._take_files(request, archive, parts, splitter, study, report)

    async def _take_only(
        self,
        request: Request,
        archive: Archive,
        headers: Mapping[str, str],
        content: list[bytes],
        study: str,
        report: StoreReport,
    ) -> None:
        """Store the only file of a small request, which needs no task of its own."""
        if _is_file(headers, report):
            begin = partial(read_file, _chain(content), study)
            await self._store(request, archive, begin, report)

    async def _take_models(
        self,
        request: Request,
        archive: Archive,
        parts: AsyncIterator[Part],
        study: str,
        report: StoreReport,
    ) -> None:
        """Store what metadata and bulk data make, once all of them are there."""
        with Models(self._service.config.max_metadata) as models:
            try:
                async for part in parts:
                    await models.take(part)
                datasets = await models.datasets()
            except TooMuchMetadataError as error:
                raise HttpError(413, str(error)) from error
            except MalformedModel as error:
                raise HttpError(400, f"nothing was stored: {error}") from error
            for elements in datasets:
                begin = partial(models.file, elements, study)
                await self._store(request, archive, begin, report)

    async def _take_files(
        self,
        request: Request,
        archive: Archive,
        parts: AsyncIterator[Part],
        splitter: Splitter,
        study: str,
        report: StoreReport,
    ) -> None:
        """Store files, several small ones at once; they are reported in their order."""
        reports: list[StoreReport] = []
        reading = anyio.Lock(fast_acquire=True)
        malformed: list[MalformedMultipart] = []

        async def store(content: AsyncIterator[bytes], own: StoreReport) -> None:
            await self._store(request, archive, partial(read_file, content, study), own)

        async def take(others: int) -> None:
            """Read a part, let another task read on while it is stored, and so on until the end."""
            try:
                while True:
                    async with reading:
                        if (part := await anext(parts, None)) is None:
                            return
                        reports.append(own := StoreReport())
                        if not _is_file(part.headers, own):
                            continue
                        content = aiter(part)
                        beginning, is_whole = await _read_beginning(content)
                        if not is_whole:
                            await store(_chain(beginning, content), own)
                            continue
                    if others and not splitter.is_complete:
                        tasks.start_soon(take, others - 1)
                        others = 0
                    await store(_chain(beginning), own)
            except MalformedMultipart as error:
                malformed.append(error)

        async with anyio.create_task_group() as tasks:
            await take(_AT_ONCE - 1)
        for own in reports:
            report.stored += own.stored
            report.failed += own.failed
        if malformed:
            raise malformed[0]

    async def _store(
        self,
        request: Request,
        archive: Archive,
        begin: Callable[[], Awaitable[IncomingFile]],
        report: StoreReport,
    ) -> None:
        """Store the file that begins so; what fails is reported."""
        file: IncomingFile | None = None
        try:
            file = await begin()
            if file.sop_class_uid == _DICOMDIR:
                report.failed.append(
                    refused_part(file, _SOP_CLASS_NOT_SUPPORTED, "it is a DICOMDIR")
                )
                return
            result = await self._ingest(request, archive, file, file.dataset)
        except (MalformedMultipart, ClientDisconnect, AuditFailedError, HttpError):
            raise
        except Exception as error:
            report.failed.append(failed_part(file, error))
        else:
            report.stored.append(stored_part(file, result))

    async def _ingest(
        self,
        request: Request,
        archive: Archive,
        file: IncomingFile,
        dataset: AsyncIterable[bytes | memoryview],
    ) -> IngestResult:
        return await archive.ingest(
            dataset,
            transfer_syntax_uid=file.transfer_syntax_uid,
            sop_class_uid=file.sop_class_uid,
            sop_instance_uid=file.sop_instance_uid,
            origin=self._service.context.origin_of(request),
        )

    async def _record(self, request: Request, report: StoreReport, outcome: Outcome) -> None:
        studies = tuple(sorted({part.study for part in report.stored}))
        details = {"stored": len(report.stored), "failed": len(report.failed)}
        await self._service.record(request, STORED, outcome, details, studies)


def _choose_answer(request: Request) -> Representation:
    """Return how is told what was stored; an Accept of something else must not lose an image."""
    choices = accept(request, parameters_of(request), (*_ANSWERS, *_OF_RETRIEVALS))
    named = (each.representation for each in choices)
    return next((each for each in named if each in _ANSWERS), JSON)


def _is_small(request: Request) -> bool:
    """Tell whether a body can be gathered in memory, by what is said of it."""
    headers = request.headers
    length = headers.get("content-length", "")
    return length.isdecimal() and int(length) <= _SMALL and "content-encoding" not in headers


def _is_file(headers: Mapping[str, str], report: StoreReport) -> bool:
    """Tell whether a part is a DICOM file, by its headers; report one that is not."""
    text = headers.get("content-type", DICOM)
    if text == DICOM or ((named := media_type(text)) and named.name in _UNMARKED):
        return True
    report.failed.append(FailedPart(Status.CANNOT_UNDERSTAND, f"it is {text[:60]!r}, not {DICOM}"))
    return False


async def _read_beginning(content: AsyncIterator[bytes]) -> tuple[list[bytes], bool]:
    """Return what a part begins with, and whether that is all of it."""
    pieces, size = [], 0
    async for piece in content:
        pieces.append(piece)
        size += len(piece)
        if size > _SMALL:
            return pieces, False
    return pieces, True


async def _chain(
    pieces: list[bytes], rest: AsyncIterator[bytes] | None = None
) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
    pieces.clear()
    if rest is not None:
        async for piece in rest:
            yield piece


def _status(report: StoreReport) -> int:
    """Return the status; what nobody may store is 403 (PS3.18 §8.5)."""
    if report.failed and not report.stored:
        reasons = {part.failure for part in report.failed}
        if reasons == {Status.NOT_AUTHORIZED}:
            return 403
        if reasons == {Status.OUT_OF_RESOURCES}:
            return 507
    return report.status


def _unsupported(shown: str) -> HttpError:
    accepts = {"Accept-Post": f"{_WANTED}, {DICOM}"}
    return HttpError(415, f"{shown[:100]} cannot be stored; send {_WANTED}", accepts)
