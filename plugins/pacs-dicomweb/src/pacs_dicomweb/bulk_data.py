"""The Retrieve transaction for bulk data (PS3.18 §10.4.1.1.5): whatever a BulkDataURI refers to."""

from collections.abc import AsyncIterator, Iterator
from typing import Final

from attrs import evolve
from pacs_web.api.datasets import not_acceptable
from pacs_web.api.http import HttpError, StreamResponse
from pacs_web.api.media_types import Representation
from pacs_web.api.multipart_writing import OutgoingPart, new_boundary, write_multipart
from starlette.requests import Request
from starlette.responses import Response

from pacs_core.api.streams import closing, prepend
from pacs_core.contracts import (
    Archive,
    AuditValue,
    InstanceHeader,
    InstanceNotFoundError,
    Outcome,
    StoredInstance,
    bulk_data_path,
    bulk_data_reference,
)
from pacs_core.dataset import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    BulkData,
    DataElement,
    ElementPath,
    ElementSet,
    MalformedDataset,
    tag_of,
)
from pacs_dicomweb.frames import FrameRetrieval
from pacs_dicomweb.instances import entity_tag, instance_of, instances_of, is_unchanged
from pacs_dicomweb.pixel_media_types import OCTETS
from pacs_dicomweb.ranges import ByteRange, answer_range
from pacs_dicomweb.service import (
    RETRIEVED,
    DicomWeb,
    Resource,
    accept,
    parameters_of,
    resource_of,
    resource_of_instance,
)

_PIXEL_DATA: Final = 0x7FE00010
_DOCUMENT: Final = tag_of("EncapsulatedDocument")
_MIME_TYPE: Final = tag_of("MIMETypeOfEncapsulatedDocument")
_DOCUMENTS: Final = frozenset({"application/pdf", "model/stl", "model/obj", "model/mtl"})
"""Documents that come as what they are. Those that a browser could run scripts of do not."""

XML: Final = "text/xml"
XML_POLICY: Final = "default-src 'none'; frame-ancestors 'none'; sandbox"
"""Content-Security-Policy of XML: a browser runs no script of it, nor a stylesheet it names."""

_ALWAYS: Final = frozenset({_DOCUMENT, _PIXEL_DATA})
_SOP_CLASS: Final = tag_of("SOPClassUID")
_CDA: Final = "1.2.840.10008.5.1.4.1.1.104.2"
_XML_NAMES: Final = frozenset({XML, "application/xml", ""})
"""How Encapsulated CDA says that it is XML, which it has to be (PS3.3 Table A.45.2-1)."""
_PDF: Final = "1.2.840.10008.5.1.4.1.1.104.1"
DOCUMENTS: Final = Representation("application/pdf", is_multipart=True)
MULTIPART: Final = Representation(OCTETS, is_multipart=True)
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

    async def retrieve_all(self, request: Request) -> Response:
        """Answer GET of all bulk data of a study, series or instance, or of their Pixel Data."""
        archive, resource = self._service.archive(request), resource_of(request)
        only_pixels = request.url.path.endswith("/pixeldata")
        offered = (MULTIPART,) if only_pixels else (MULTIPART, DOCUMENTS)
        wanted = accept(request, parameters_of(request), offered)[0].representation
        return await self.answer_all(request, archive, resource, wanted, only_pixels=only_pixels)

    async def answer_all(
        self,
        request: Request,
        archive: Archive,
        resource: Resource,
        wanted: Representation,
        *,
        only_pixels: bool = False,
    ) -> Response:
        """Answer with all bulk data of a resource, as octets, or with the PDF that are in it."""
        instances = await instances_of(archive, resource)
        if wanted == DOCUMENTS:
            instances = [each for each in instances if each.identity.sop_class_uid == _PDF]
            if not instances:
                raise not_acceptable((MULTIPART,), "there is no PDF")
        only = _DOCUMENT if wanted == DOCUMENTS else _PIXEL_DATA if only_pixels else None
        boundary, url = new_boundary(), self._service.url(request)

        async def parts() -> AsyncIterator[OutgoingPart]:
            for instance in instances:
                async with closing(self._parts(archive, instance, url)) as found:
                    async for path, part in found:
                        if only is None or path == (only,):
                            yield evolve(part, content_type=wanted.name)

        body = parts()
        try:
            first = await anext(body)
        except StopAsyncIteration:
            # A body of parts has at least one (RFC 2046 §5.1.1).
            what = "Pixel Data" if only_pixels else "bulk data"
            raise HttpError(404, f"there are no {what}") from None
        studies = tuple({each.identity.study_instance_uid for each in instances})
        details: dict[str, AuditValue] = {"bulk_data": "all", "instances": len(instances)}
        await self._service.record(request, RETRIEVED, Outcome.SUCCESS, details, studies)
        headers = {"Content-Type": wanted.content_type(boundary)}
        return StreamResponse(write_multipart(prepend(first, body), boundary), headers=headers)

    async def _parts(
        self, archive: Archive, instance: StoredInstance, url: str
    ) -> AsyncIterator[tuple[ElementPath, OutgoingPart]]:
        """Iterate over the bulk data of an instance; of encapsulated Pixel Data, over frames."""
        try:
            header = await archive.header(instance)
        except MalformedDataset:
            return  # what cannot be read has been stored, and can be had as a whole
        base = f"{url}{resource_of_instance(instance.identity).path}"
        for path, element in bulk_elements(header.elements):
            where = f"{base}/bulkdata/{bulk_data_reference(path)}"
            if not isinstance(element.value, BulkData) or element.value.length is not None:
                content = value_of(archive, instance, element)
                yield path, OutgoingPart(OCTETS, content, where, length_of(element))
                continue
            stored = archive.frames(instance, range(1, _number_of_frames(header) + 1))
            frames = self._service.node.transcoder.frames(stored, (EXPLICIT_VR_LITTLE_ENDIAN,))
            async with closing(frames) as iterator:
                async for frame in iterator:
                    location = f"{base}/frames/{frame.number}"
                    yield path, OutgoingPart(OCTETS, frame.data, location)

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
        offered = [MULTIPART, _SINGLE]
        if own:
            offered += [Representation(own), Representation(own, is_multipart=True)]
        representation = accept(request, parameters_of(request), offered)[0].representation
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
        length = length_of(element)
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
        headers["Content-Type"] = representation.name
        if representation.name == XML:
            headers["Content-Security-Policy"] = XML_POLICY
        return answer_range(
            request, length, headers, lambda wanted: value_of(archive, instance, element, wanted)
        )


def bulk_elements(
    elements: ElementSet, path: ElementPath = ()
) -> Iterator[tuple[ElementPath, DataElement]]:
    """Iterate over the elements whose values are bulk data, those of items as well.

    Pixel Data and documents are, however short.
    """
    for element in elements:
        here = (*path, element.tag)
        if isinstance(element.value, BulkData) or (element.tag in _ALWAYS and element.value):
            yield here, element
        for number, item in enumerate(element.items):
            yield from bulk_elements(item, (*here, number))


def media_type_of(header: InstanceHeader, path: ElementPath) -> str:
    """Return the media type of a document that an instance encapsulates (PS3.3 C.24.2)."""
    if path != (_DOCUMENT,):
        return ""
    named = "".join(header.elements.texts(_MIME_TYPE)[:1]).strip().lower()
    if "".join(header.elements.texts(_SOP_CLASS)[:1]).strip("\0 ") == _CDA:
        return XML if named in _XML_NAMES else ""
    return named if named in _DOCUMENTS else ""


def _number_of_frames(header: InstanceHeader) -> int:
    text = "".join(header.elements.texts(tag_of("NumberOfFrames"))[:1]).strip()
    return max(int(text), 1) if text.isascii() and text.isdigit() and len(text) < 7 else 1


def length_of(element: DataElement) -> int:
    """Return how many bytes a value has."""
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
