"""Deletion of studies, series and instances: an extension, off unless it is configured."""

from starlette.requests import Request
from starlette.responses import Response

from pacs_core.contracts import InstanceNotFoundError
from pacs_dicomweb.instances import instances_of
from pacs_dicomweb.service import DicomWeb, resource_of


class EntityDeletion:
    """Answers DELETE. The archive records each instance that goes.

    Parameters
    ----------
    service : DicomWeb
    """

    def __init__(self, service: DicomWeb) -> None:
        self._service = service

    async def delete(self, request: Request) -> Response:
        """Delete the instances of a resource: 204, or what came in between."""
        archive, resource = self._service.archive(request), resource_of(request)
        origin = self._service.context.origin_of(request)
        for instance in await instances_of(archive, resource):
            try:
                await archive.delete(instance.identity.path, origin)
            except InstanceNotFoundError:
                continue  # somebody else was faster
        return Response(status_code=204)
