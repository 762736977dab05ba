"""The Retrieve transaction for bulk data (PS3.18 §10.4.1.1.5): whatever a BulkDataURI refers to."""

from collections.abc import AsyncIterator
from typing import Final

from attrs import evolve
from pacs_web.api.http import HttpError, StreamResponse
from starlette.requests import Request
from starlette.responses import Response

from pacs_core.contracts import (
    Archive,
    InstanceHeader,
    InstanceNotFoundError,
    Outcome,
    StoredInstance,
    bulk_data_path,
)
from pacs_core.dataset import BulkData, DataElement, ElementPath, tag_of
from pacs_dicomweb.frames import FrameRetrieval
from pacs_dicomweb.instances import entity_tag, instance_of, is_unchanged
from pacs_dicomweb.media_types import Representation
from pacs_dicomweb.multipart import OutgoingPart, new_boundary, write_multipart
from pacs_dicomweb.pixel_media_types import OCTETS
from pacs_dicomweb.ranges import ByteRange
from pacs_dicomweb.retrieving import range_headers, requested_range
from pacs_dicomweb.service import (
    RETRIEVED,
    DicomWeb,
    accepted,
    parameters_of,
    resource_of,
)

_PIXEL_DATA: Final = 0x7FE00010
_DOCUMENT: Final = tag_of("EncapsulatedDocument")
_MIME_TYPE: Final = tag_of("MIMETypeOfEncapsulatedDocument")
_DOCUMENTS: Final = frozenset({"application/pdf", "model/stl", "model/obj", "model/mtl"})
"""Documents that come as what they are. Those that a browser could run scripts of do not."""

_MULTIPART: Final = Representation(OCTETS, is_multipart=True)
_SINGLE: Final = Representation(OCTETS)


class BulkDataRetrieval:
    """Answers for bulk data of an instance.

    Parameters
    ----------
    service : DicomWeb
    frames : FrameRetrieval
        Answers for encapsulated Pixel Data, which are made of frames.
    """

    def __init__(self, service: DicomWeb, frames: FrameRetrieval) -> None:
        self._service = service
        self._frames = frames

    async def retrieve(self, request: Request) -> Response:
        """Answer GET of a value."""
        resource, reference = resource_of(request), request.path_params["reference"]
        try:
            path = bulk_data_path(reference)
        except ValueError as error:
            raise HttpError(400, str(error)) from error
        archive = self._service.archive(request)
        instance = await instance_of(archive, resource)
        header = await archive.header(instance)
        element = header.elements.find(path)
        if element is None or element.items:
            raise InstanceNotFoundError(f"{resource} has no bulk data {reference}")
        if path == (_PIXEL_DATA,) and header.pixel_data and header.pixel_data.length is None:
            numbers = range(1, _number_of_frames(header) + 1)
            return await self._frames.answer(request, archive, instance, numbers)
        return await self._answer(request, archive, instance, header, path, element)

    async def _answer(
        self,
        request: Request,
        archive: Archive,
        instance: StoredInstance,
        header: InstanceHeader,
        path: ElementPath,
        element: DataElement,
    ) -> Response:
        own = media_type_of(header, path)
        offered = [_MULTIPART, _SINGLE]
        if own:
            offered += [Representation(own), Representation(own, is_multipart=True)]
        representation = accepted(request, parameters_of(request), offered)[0].representation
        tag = entity_tag([instance], str(path), representation.content_type())
        if is_unchanged(request, tag):
            return Response(status_code=304, headers={"ETag": tag})
        uid = instance.identity.sop_instance_uid
        await self._service.record(
            request,
            RETRIEVED,
            Outcome.SUCCESS,
            {"bulk_data": request.path_params["reference"], "sop_instance_uid": uid},
            (instance.identity.study_instance_uid,),
        )
        location = f"{self._service.context.base_url(request)}{request.url.path}"
        length = _length(element)
        headers = {"Content-Location": location}
        if representation.is_multipart:
            boundary = new_boundary()
            headers |= {"ETag": f"W/{tag}"} if tag else {}
            headers["Content-Type"] = representation.content_type(boundary)

            async def parts() -> AsyncIterator[OutgoingPart]:
                content = value_of(archive, instance, element)
                yield OutgoingPart(representation.name, content, location=location, length=length)

            return StreamResponse(write_multipart(parts(), boundary), headers=headers)
        headers |= {"ETag": tag} if tag else {}
        headers |= {"Content-Type": representation.name, "Accept-Ranges": "bytes"}
        wanted = requested_range(request, length, tag)
        if wanted is None:
            headers["Content-Length"] = str(length)
            return StreamResponse(value_of(archive, instance, element), headers=headers)
        headers |= range_headers(wanted, length)
        return StreamResponse(value_of(archive, instance, element, wanted), 206, headers=headers)


def media_type_of(header: InstanceHeader, path: ElementPath) -> str:
    """Return the media type of a document that an instance encapsulates (PS3.3 C.24.2)."""
    named = "".join(header.elements.texts(_MIME_TYPE)[:1]).strip().lower()
    return named if path == (_DOCUMENT,) and named in _DOCUMENTS else ""


def _number_of_frames(header: InstanceHeader) -> int:
    text = "".join(header.elements.texts(tag_of("NumberOfFrames"))[:1]).strip()
    return max(int(text), 1) if text.isascii() and text.isdigit() and len(text) < 7 else 1


def _length(element: DataElement) -> int:
    if isinstance(element.value, BulkData):
        return element.value.length or 0
    return len(element.value) if isinstance(element.value, bytes) else 0


async def value_of(
    archive: Archive,
    instance: StoredInstance,
    element: DataElement,
    wanted: ByteRange | None = None,
) -> AsyncIterator[bytes]:
    """Iterate over the little endian bytes of a value, or a range of them."""
    if isinstance(element.value, bytes):
        yield element.value[wanted.start : wanted.end] if wanted else element.value
        return
    if not isinstance(element.value, BulkData):
        return
    value, start, end = element.value, 0, element.value.length or 0
    if wanted:
        # Words are swapped whole.
        start = wanted.start // value.word_size * value.word_size
        end = wanted.end
        rounded = -(-end // value.word_size) * value.word_size
        length = min(rounded, value.length or 0) - start
        value = evolve(value, offset=value.offset + start, length=length)
    position = start
    async for piece in archive.bulk_data(instance, value):
        first = max((wanted.start if wanted else 0) - position, 0)
        last = min(len(piece), end - position)
        position += len(piece)
        if first < last:
            yield piece[first:last]
