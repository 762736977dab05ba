"""The Retrieve transaction for metadata (PS3.18 §10.4.1.1.2)."""

from collections.abc import AsyncIterator, Callable
from typing import Final

from pacs_web.api.datasets import XML_PARTS
from pacs_web.api.http import StreamResponse
from pacs_web.api.multipart_writing import OutgoingPart, new_boundary, write_multipart
from starlette.requests import Request
from starlette.responses import Response

from pacs_core.api.streams import closing
from pacs_core.contracts import (
    Archive,
    InstanceNotFoundError,
    Outcome,
    Query,
    bulk_data_reference,
    resolve_bulk_data,
)
from pacs_core.dataset import DataElement, ElementPath, MalformedDataset, ModelOptions
from pacs_core.dataset.xml_model import write_xml
from pacs_dicomweb.instances import is_unchanged, query_of, tag_of_fingerprint
from pacs_dicomweb.searching import OFFERED
from pacs_dicomweb.service import (
    RETRIEVED,
    DicomWeb,
    Resource,
    accept,
    parameters_of,
    resource_of,
    resource_of_instance,
)

_ENOUGH: Final = 64 * 1024
"""Bytes that are gathered before they are sent."""


class MetadataRetrieval:
    """Answers for the metadata of studies, series and instances.

    Parameters
    ----------
    service : DicomWeb
    """

    def __init__(self, service: DicomWeb) -> None:
        self._service = service

    async def retrieve(self, request: Request) -> Response:
        """Answer GET of metadata, as they come from the archive."""
        parameters, resource = parameters_of(request), resource_of(request)
        choice = accept(request, parameters, OFFERED)[0]
        archive, query = self._service.archive(request), query_of(resource)
        found = await archive.fingerprint(query)
        if not found.instances:
            raise InstanceNotFoundError(f"there is no {resource}")
        url = self._service.url(request)
        tag = tag_of_fingerprint(found, choice.representation.name, url)
        if is_unchanged(request, tag):
            return Response(status_code=304, headers={"ETag": tag})
        details = {"metadata": True, "instances": found.instances}
        await self._service.record(request, RETRIEVED, Outcome.SUCCESS, details, (resource.study,))
        headers = {"ETag": f"W/{tag}"} if tag else {}
        if choice.representation == XML_PARTS:
            boundary = new_boundary()
            content = write_multipart(_xml_parts(archive, query, url), boundary)
            headers["Content-Type"] = XML_PARTS.content_type(boundary)
            return StreamResponse(content, headers=headers)
        headers["Content-Type"] = choice.representation.name
        return StreamResponse(_json(archive, query, url), headers=headers)


async def _json(archive: Archive, query: Query, url: str) -> AsyncIterator[bytes]:
    """Iterate over an array of DICOM JSON Model objects (PS3.18 F.2.1)."""
    gathered, size, separator = [b"["], 1, b""
    async with closing(archive.metadata(query)) as objects:
        async for instance, text in objects:
            base = f"{url}{resource_of_instance(instance.identity).path}/bulkdata/"
            gathered += (separator, resolve_bulk_data(text, base))
            separator, size = b",", size + len(text)
            if size > _ENOUGH:
                yield b"".join(gathered)
                gathered, size = [], 0
    yield b"".join((*gathered, b"]"))


async def _xml_parts(archive: Archive, query: Query, url: str) -> AsyncIterator[OutgoingPart]:
    async with closing(archive.instances(query)) as instances:
        async for instance in instances:
            resource = resource_of_instance(instance.identity)
            try:
                header = await archive.header(instance)
            except MalformedDataset:
                continue  # what cannot be read has been stored, and can be retrieved
            options = ModelOptions(refer=_references(url, resource))
            text = "".join(write_xml(header.elements, options)).encode("utf-8", "replace")
            yield OutgoingPart(XML_PARTS.name, text, location=f"{url}{resource.path}/metadata")


def _references(url: str, resource: Resource) -> Callable[[ElementPath, DataElement], str]:
    def refer(path: ElementPath, element: DataElement) -> str:
        return f"{url}{resource.path}/bulkdata/{bulk_data_reference(path)}"

    return refer
