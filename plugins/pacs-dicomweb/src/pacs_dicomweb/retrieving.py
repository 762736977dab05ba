"""The Retrieve transaction for DICOM instances: study, series, instance (PS3.18 §10.4.1.1.1)."""

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from typing import Final

from pacs_web.api.datasets import not_acceptable, warning_header
from pacs_web.api.http import StreamResponse
from pacs_web.api.media_types import Choice, Representation
from pacs_web.api.multipart_writing import (
    OutgoingPart,
    multipart_length,
    new_boundary,
    write_multipart,
)
from starlette.requests import Request
from starlette.responses import Response

from pacs_core.contracts import Archive, AuditValue, Outcome, StoredInstance
from pacs_dicomweb.anonymizing import anonymize, deidentifier_of
from pacs_dicomweb.bulk_data import DOCUMENTS, MULTIPART, BulkDataRetrieval
from pacs_dicomweb.delivery import Deliveries, PlannedInstance
from pacs_dicomweb.instances import entity_tag, instances_of, is_unchanged, refuse_if_offline
from pacs_dicomweb.ranges import ByteRange, answer_range, read_part
from pacs_dicomweb.service import (
    RETRIEVED,
    DicomWeb,
    accept,
    parameters_of,
    resource_of,
    resource_of_instance,
)
from pacs_dicomweb.zipping import write_zip

DICOM: Final = Representation("application/dicom", is_multipart=True)
FILE: Final = Representation("application/dicom")
ZIP: Final = Representation("application/zip")

Chunks = AsyncIterable[bytes | memoryview]


class InstanceRetrieval:
    """Answers for whole instances.

    Parameters
    ----------
    service : DicomWeb
    bulk_data : BulkDataRetrieval
        Answers where octets are asked for instead (Table 10.4.4-1, note 2).
    """

    def __init__(self, service: DicomWeb, bulk_data: BulkDataRetrieval) -> None:
        self._service = service
        self._bulk_data = bulk_data

    async def retrieve(self, request: Request) -> Response:
        """Answer GET of a study, a series or an instance."""
        parameters, resource = parameters_of(request), resource_of(request)
        offered = (DICOM, FILE, ZIP) if resource.instance else (DICOM, ZIP)
        choices = accept(request, parameters, (*offered, MULTIPART, DOCUMENTS))
        archive = self._service.archive(request)
        if (best := choices[0].representation) not in offered:
            return await self._bulk_data.answer_all(request, archive, resource, best)
        instances = await instances_of(archive, resource)
        choice, deliveries, refused = self._choose(choices, instances, offered)
        syntaxes = {each.transfer_syntax_uid for each in deliveries}
        tag = entity_tag(instances, choice.representation.content_type("-"), *sorted(syntaxes))
        if is_unchanged(request, tag):
            return Response(status_code=304, headers={"ETag": tag})
        await refuse_if_offline(archive, resource)
        headers = {"ETag": tag} if tag else {}
        if refused:
            lacking = (
                f"{len(refused)} of {len(instances)} instances cannot be had so: {refused[0][1]}"
            )
            headers |= warning_header(self._service.url(request), [lacking])
        await self._record(request, [each.instance for each in deliveries])
        status = 206 if refused else 200
        planned = Deliveries(self._service.node.transcoder, choice.transfer_syntaxes)
        if choice.representation is FILE:
            return await self._file(request, archive, planned, deliveries[0], headers)
        content: Chunks
        if choice.representation is ZIP:
            name = resource.instance or resource.series or resource.study
            headers["Content-Disposition"] = f'attachment; filename="{name}.zip"'
            headers["Content-Type"] = ZIP.name
            content = write_zip(self._named(archive, planned, deliveries))
        else:
            boundary = new_boundary()
            only = syntaxes.pop() if len(syntaxes) == 1 else ""
            headers["Content-Type"] = DICOM.content_type(boundary, only)
            parts = self._parts(request, archive, planned, deliveries)
            if length := multipart_length(parts, boundary):
                headers["Content-Length"] = str(length)
            content = write_multipart(_each(parts), boundary)
        return StreamResponse(content, status, headers=_weaken_tag(headers))

    async def single_file(
        self, request: Request, archive: Archive, instance: StoredInstance, syntax: str
    ) -> Response:
        """Answer with one file, in a transfer syntax; an empty one is the default (§9.4.1.2.8)."""
        choice = Choice(FILE, (syntax,))
        choice, deliveries, _ = self._choose([choice], [instance], (FILE,))
        tag = entity_tag([instance], FILE.name, deliveries[0].transfer_syntax_uid)
        if is_unchanged(request, tag):
            return Response(status_code=304, headers={"ETag": tag})
        await self._record(request, [instance])
        planned = Deliveries(self._service.node.transcoder, choice.transfer_syntaxes)
        headers = {"ETag": tag} if tag else {}
        return await self._file(request, archive, planned, deliveries[0], headers)

    async def anonymous_file(
        self, request: Request, archive: Archive, instance: StoredInstance, syntax: str
    ) -> Response:
        """Answer with one file without what tells whose it is, another instance (§9.4.1.2)."""
        deidentifier = deidentifier_of(self._service.node)
        choice, deliveries, _ = self._choose([Choice(FILE, (syntax,))], [instance], (FILE,))
        planned = Deliveries(self._service.node.transcoder, choice.transfer_syntaxes)
        await self._record(request, [instance], anonymized=True)
        content = anonymize(deidentifier, planned.file(archive, deliveries[0]))
        content_type = FILE.content_type("", deliveries[0].transfer_syntax_uid)
        # Nobody but who asked is to keep it; the next request may be under another profile.
        headers = {"Content-Type": content_type, "Cache-Control": "no-store"}
        return StreamResponse(content, headers=headers)

    def _choose(
        self,
        choices: Sequence[Choice],
        instances: Sequence[StoredInstance],
        offered: Sequence[Representation],
    ) -> tuple[Choice, list[PlannedInstance], list[tuple[StoredInstance, str]]]:
        """Return the first choice in which some instance can go out."""
        reason = ""
        for choice in choices:
            if choice.representation not in offered:
                continue
            syntaxes = choice.transfer_syntaxes
            # A zip archive is ours to fill: with what is stored, unless something is named.
            named = ("*",) if choice.representation is ZIP and syntaxes == ("",) else syntaxes
            chosen = Choice(choice.representation, named)
            deliveries, refused = Deliveries(self._service.node.transcoder, named).divide(instances)
            if deliveries:
                return chosen, deliveries, refused
            reason = refused[0][1]
        raise not_acceptable(offered, reason)

    async def _file(
        self,
        request: Request,
        archive: Archive,
        planned: Deliveries,
        delivery: PlannedInstance,
        headers: dict[str, str],
    ) -> Response:
        """Answer with a single file, of which a range may be asked for."""
        headers["Content-Type"] = FILE.content_type("", delivery.transfer_syntax_uid)
        headers["Content-Location"] = (
            f"{self._service.url(request)}{resource_of_instance(delivery.instance.identity).path}"
        )
        if not delivery.is_as_stored:
            return StreamResponse(planned.file(archive, delivery), headers=_weaken_tag(headers))
        if (length := delivery.length) is None:
            async with await archive.open(delivery.instance) as reader:
                length = reader.size

        def content(wanted: ByteRange | None) -> Chunks:
            if wanted is None:
                return planned.file(archive, delivery)
            return _part_of(archive, delivery.instance, wanted)

        return answer_range(request, length, headers, content)

    def _parts(
        self,
        request: Request,
        archive: Archive,
        planned: Deliveries,
        deliveries: Sequence[PlannedInstance],
    ) -> list[OutgoingPart]:
        """Return the parts, of which none is opened before its turn comes."""
        url = self._service.url(request)
        return [
            OutgoingPart(
                FILE.content_type("", each.transfer_syntax_uid),
                planned.file(archive, each),
                location=f"{url}{resource_of_instance(each.instance.identity).path}",
                length=each.length,
            )
            for each in deliveries
        ]

    async def _named(
        self, archive: Archive, planned: Deliveries, deliveries: Sequence[PlannedInstance]
    ) -> AsyncIterator[tuple[str, Chunks]]:
        for delivery in deliveries:
            identity = delivery.instance.identity
            name = (
                f"{identity.study_instance_uid}/{identity.series_instance_uid}/"
                f"{identity.sop_instance_uid}.dcm"
            )
            yield name, planned.file(archive, delivery)

    async def _record(
        self, request: Request, instances: Sequence[StoredInstance], **more: AuditValue
    ) -> None:
        studies = {instance.identity.study_instance_uid for instance in instances}
        details: dict[str, AuditValue] = {"instances": len(instances), **more}
        await self._service.record(
            request, RETRIEVED, Outcome.SUCCESS, details, tuple(sorted(studies))
        )


async def _each(parts: list[OutgoingPart]) -> AsyncIterator[OutgoingPart]:
    for part in parts:
        yield part


async def _part_of(
    archive: Archive, instance: StoredInstance, wanted: ByteRange
) -> AsyncIterator[bytes]:
    async with await archive.open(instance) as reader:
        async for chunk in read_part(reader, wanted):
            yield chunk


def _weaken_tag(headers: dict[str, str]) -> dict[str, str]:
    """Return headers whose ETag is weak: a boundary, or an encoder, makes other bytes each time."""
    tag = headers.get("ETag")
    return {**headers, "ETag": f"W/{tag}"} if tag else headers
