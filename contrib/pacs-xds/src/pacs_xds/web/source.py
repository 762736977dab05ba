"""Imaging Document Source: instances handed out by RAD-69 (RAD TF-3 4.69).

Theory of operation
-------------------
The envelope of an answer comes first and says how all of it went. So every instance is located, and
the form in which it goes out planned, before the first byte; then instances are read one by one
while they are sent, and memory is bounded. An instance that turns out to be damaged on the way cuts
the answer off before its last delimiter: a client cannot take it for whole.

Whoever asks gets what the archive lets them have. What they may not see is not there for them: it
is answered like a UID that nobody knows.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from attrs import define, frozen
from pacs_core.contracts import (
    AccessDeniedError,
    Archive,
    AuditEvent,
    AuditValue,
    EventAction,
    InstancePath,
    Outcome,
    StoredInstance,
)
from pacs_dicomweb.api import Deliveries, PlannedInstance
from pacs_web.api import WebContext
from pacs_web.api.http import HttpError, StreamResponse, stream_body
from pacs_web.api.multipart_writing import OutgoingPart, new_boundary, write_multipart
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pacs_xds.auditing import asked_participants, document_objects, study_objects
from pacs_xds.config import XdsConfig
from pacs_xds.interface import IMAGES_SENT
from pacs_xds.soap.envelope import (
    FaultCode,
    Message,
    SoapFault,
    make_envelope,
    make_fault,
    read_envelope,
)
from pacs_xds.soap.mtom import (
    SOAP_XML,
    MalformedPackage,
    PackageLimits,
    new_content_id,
    package_type,
    read_package,
    root_part,
)
from pacs_xds.soap.xml import serialize
from pacs_xds.transactions import (
    FAILURE,
    PARTIAL,
    RETRIEVE_IMAGING,
    RETRIEVE_RESPONSE,
    SUCCESS,
    DocumentKey,
    ImagingRequest,
    RegistryError,
    read_imaging_request,
    retrieve_response,
)

_NOT_ANONYMIZED: Final = "urn:dicom:wado:0002"
_NOT_IN_SYNTAX: Final = "urn:dicom:wado:0007"
"""The instance cannot be provided in a transfer syntax of the request."""


def source_routes(context: WebContext, config: XdsConfig, directory: Path) -> list[BaseRoute]:
    """Return the route of the Imaging Document Source."""
    source = ImagingDocumentSource(context, config, directory)
    return [Route("/", source.answer, methods=["POST"])]


@frozen
class _Answer:
    """What of a request can be had, and what cannot."""

    documents: tuple[tuple[DocumentKey, str, PlannedInstance], ...]
    errors: tuple[RegistryError, ...]

    @property
    def status(self) -> str:
        if not self.errors:
            return SUCCESS
        return PARTIAL if self.documents else FAILURE


@define
class ImagingDocumentSource:
    """Answers RAD-69.

    Parameters
    ----------
    context : WebContext
    config : XdsConfig
    directory : Path
    """

    context: WebContext
    config: XdsConfig
    directory: Path

    async def answer(self, request: Request) -> Response:
        """Answer a request; whatever is wrong with it is a fault."""
        message = None
        try:
            message = await self._read(request)
            return await self._retrieve(request, message)
        except MalformedPackage as error:
            return _fault(SoapFault(FaultCode.SENDER, str(error), error.status), None)
        except SoapFault as fault:
            return _fault(fault, message)
        except HttpError as error:
            return _fault(SoapFault(FaultCode.SENDER, error.detail, error.status), message)

    async def _read(self, request: Request) -> Message:
        limits = PackageLimits(
            root=self.config.max_request,
            document=self.config.max_request,
            total=self.config.max_request,
            parts=10,
        )
        body = stream_body(request, self.config.max_request)
        kind = request.headers.get("content-type", "")
        async with read_package(kind, body, limits, self.directory) as package:
            return read_envelope(package.root)

    async def _retrieve(self, request: Request, message: Message) -> Response:
        if message.action != RETRIEVE_IMAGING:
            reason = f"the action is {message.action[:200]!r}, not {RETRIEVE_IMAGING}"
            raise SoapFault(FaultCode.SENDER, reason, subcode="ActionNotSupported")
        wanted = read_imaging_request(message.body)
        if len(wanted.documents) > self.config.max_documents:
            most = self.config.max_documents
            raise SoapFault(FaultCode.SENDER, f"ask for {most} documents at most")
        archive = self.context.node.archive.on_behalf_of(self.context.origin_of(request))
        deliveries = Deliveries(
            self.context.node.transcoder, wanted.transfer_syntaxes, lambda named, _: named
        )
        answer = await self._plan(archive, wanted, deliveries)
        await self._record(request, message, wanted, answer)
        body = retrieve_response(
            answer.status, ((key, cid) for key, cid, _ in answer.documents), answer.errors
        )
        envelope = make_envelope(RETRIEVE_RESPONSE, body, relates_to=message.message_id)
        boundary, start = new_boundary(), new_content_id()

        async def parts() -> AsyncIterator[OutgoingPart]:
            yield root_part(serialize(envelope), start)
            for _, content_id, planned in answer.documents:
                yield OutgoingPart(
                    "application/dicom",
                    deliveries.file(archive, planned),
                    length=planned.length,
                    content_id=content_id,
                )

        headers = {
            "Content-Type": package_type(boundary, start, RETRIEVE_RESPONSE),
            "Cache-Control": "no-store",
        }
        return StreamResponse(write_multipart(parts(), boundary), headers=headers)

    async def _plan(
        self, archive: Archive, wanted: ImagingRequest, deliveries: Deliveries
    ) -> _Answer:
        """Locate and plan what is wanted.

        Errors have the codes of ITI TF-3 §4.2.4.1, and of PS3.18 2017b §6.4.4 where that has none.
        """
        documents: list[tuple[DocumentKey, str, PlannedInstance]] = []
        errors: list[RegistryError] = []
        for each in wanted.documents:
            if each.anonymize:
                errors.append(_error(_NOT_ANONYMIZED, "nothing is anonymized here", each.key))
                continue
            if each.key.repository_id != self.config.location_uid:
                context = f"{each.key.repository_id[:64]} is not {self.config.location_uid}"
                errors.append(_error("XDSUnknownRepositoryId", context, each.key))
                continue
            instance = await _locate(
                archive, InstancePath(each.study_instance_uid, each.key.unique_id)
            )
            series = instance and instance.identity.series_instance_uid
            if instance is None or series != each.series_instance_uid:
                context = "there is no such instance in this study and series"
                errors.append(_error("XDSDocumentUniqueIdError", context, each.key))
                continue
            planned, refused = deliveries.divide([instance])
            if refused:
                errors.append(_error(_NOT_IN_SYNTAX, refused[0][1], each.key))
                continue
            documents.append((each.key, new_content_id(), planned[0]))
        return _Answer(tuple(documents), tuple(errors))

    async def _record(
        self, request: Request, message: Message, wanted: ImagingRequest, answer: _Answer
    ) -> None:
        """Record what is sent, and what is not, each as an event of its own."""
        origin = self.context.origin_of(request)
        url, name = str(request.url), origin.user or origin.calling_ae_title
        details: dict[str, AuditValue] = {
            "sent": len(answer.documents),
            "failed": len(answer.errors),
            "transfer_syntaxes": wanted.transfer_syntaxes[:20],
        }
        if message.subject:
            details["saml_subject_claimed"] = message.subject
        sent = {key for key, _, _ in answer.documents}
        for outcome in (Outcome.SUCCESS, Outcome.FAILURE):
            is_sent = outcome is Outcome.SUCCESS
            about = [each for each in wanted.documents if (each.key in sent) == is_sent]
            if not about:
                continue
            if not is_sent:
                details["reason"] = f"{answer.errors[0].code}: {answer.errors[0].context}"
            await self.context.node.audit.record(
                AuditEvent(
                    IMAGES_SENT,
                    outcome,
                    origin,
                    dict(details),
                    action=EventAction.READ,
                    participants=asked_participants(url, message.reply_to, origin.host, name),
                    objects=(
                        *document_objects(each.key for each in about),
                        *study_objects(each.study_instance_uid for each in about),
                    ),
                )
            )


async def _locate(archive: Archive, path: InstancePath) -> StoredInstance | None:
    try:
        return await archive.locate(path)
    except AccessDeniedError as error:
        raise HttpError(403, str(error)) from error


def _error(code: str, context: str, key: DocumentKey) -> RegistryError:
    return RegistryError(code, context, key.unique_id[:64])


def _fault(fault: SoapFault, message: Message | None) -> Response:
    envelope = make_fault(fault, message.message_id if message else "")
    return Response(serialize(envelope), fault.status, media_type=f"{SOAP_XML}; charset=UTF-8")
